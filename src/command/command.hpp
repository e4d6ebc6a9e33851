// Runs a command: starts it, moves its output into a spool and on to the caller, stops it at its
// time limit, and forwards the signals that memolock receives.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/command/late_output.hpp"
#include "src/command/output_forwarder.hpp"
#include "src/entry/record.hpp"
#include "src/entry/spool.hpp"
#include "src/system/cleanup_path.hpp"
#include "src/system/clock.hpp"
#include "src/system/function_ref.hpp"
#include "src/system/signals.hpp"

namespace memolock {

class Child;
struct ChildStart;
class RunLoop;

struct CommandSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< the complete environment, "NAME=value"
  std::optional<Nanoseconds> max_runtime;
  int in = -1;                ///< its stdin; -1: this process's own
  int out = -1;               ///< for start_plain(): its stdout; -1: this process's own
  int stop_descriptor = -1;   ///< the command is stopped when this becomes readable; -1: none
  bool defer_stdout = false;  ///< for start_spooled(): hold stdout back until release_stdout()
  /// For start_spooled(): how long to wait for the end of stdout after the command's exit.
  Nanoseconds drain = forever;
  /// Called once when the command has run for 20 ms. If it is set, the command always runs as a
  /// child.
  std::function<void()> on_long_run = nullptr;
  /// Removed if this process is killed while the command runs.
  CleanupPath cleanup = {};
};

/// How a run ended.
struct RunResult {
  ExitKind exit_kind = ExitKind::exited;
  int status = 0;            ///< the command's, or 128+N, 124, 126, 127
  int interrupt_signal = 0;  ///< the first signal that memolock received during the run; 0: none
  bool unknown = false;  ///< its status was lost, so `status` is 125; a plain run has reported that
  bool stopped_on_request = false;  ///< `stop_descriptor` became readable
  /// The processes that could not be killed, as "12 (sudo), 34 (sleep)"; empty: none.
  std::string left_running;
  /// Do not wait long for the readers of the output: a signal arrived, or the command was stopped
  /// while a reader was not reading.
  bool drain_briefly = false;
  Nanoseconds begun{0}, ended{0};  ///< wall clock
  Nanoseconds run_time{0};
};

/// Runs one command once. Call, in the main thread, one of the start functions, then finish(), and
/// after start_spooled() also drain() and finally late_output().
///
/// A run is over when the command has exited and its output has ended or is no longer waited for.
/// After the exit, stdout is waited for as long as CommandSpec::drain says, but not beyond the time
/// limit of a command that has exited in time; stderr is waited for a tenth of a second. Output
/// that is written later is not part of the run.
///
/// Everything that can fail is done before the command starts. From then on no function throws, so
/// that no error can lead to a second run of the command.
class Command {
 public:
  /// Keeps a reference to `signals`. Throws Error(interrupted) if a signal arrived while a message
  /// was being written.
  Command(CommandSpec spec, Signals& signals);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Starts it with this process's own stdout (or CommandSpec::out) and stderr, so that the run is
  /// over when the command has exited. Throws Error(store) if it could not be started. If there are
  /// not enough resources to watch it, the command replaces this process instead, unless
  /// CommandSpec has `max_runtime` or `on_long_run`.
  void start_plain();

  /// Starts it with stdout and stderr going to `spool` and from there to this process's own.
  /// Throws Error(store) when it could not be started.
  void start_spooled(const std::shared_ptr<Spool>& spool);

  /// Waits for the end of the run. When the spool refuses the output, or the output cannot be read,
  /// `refused` is called once, and the rest is passed on at the pace of its readers without being
  /// stored. If the command could not be executed, the result is ExitKind::not_started, and the
  /// error has been reported on stderr.
  [[nodiscard]] RunResult finish(FunctionRef<void> refused = nullptr) noexcept;

  /// Passes on the stdout that CommandSpec::defer_stdout has held back. Call it after finish() and
  /// before drain().
  void release_stdout() noexcept;

  struct Drained {
    int interrupt_signal = 0;  ///< the signal that ended the wait; 0: none
    int error = 0;  ///< the errno if output could not be passed on; 0 also if its reader has left
  };
  /// After finish(): waits until the readers have taken the rest of the output, but no longer than
  /// `patience`.
  [[nodiscard]] Drained drain(Nanoseconds patience) noexcept;

  /// Call it after drain() and after everything else that this process writes. The result passes on
  /// output that background processes write later. If a stream has not been drained, its remaining
  /// output is discarded.
  [[nodiscard]] LateOutput late_output() noexcept;

 private:
  void start(const ChildStart& start);
  void report_not_started() noexcept;

  CommandSpec spec_;
  Signals& signals_;
  std::shared_ptr<Spool> spool_;
  std::vector<std::shared_ptr<OutputForwarder>> forwarders_;
  std::unique_ptr<RunLoop> run_;
  std::unique_ptr<Child> child_;
  Nanoseconds begun_{0}, boot_begun_{0};
  int start_error_ = 0;  // why the command could not be executed
  int read_error_ = 0;   // why its output could not be read completely
};

}  // namespace memolock
