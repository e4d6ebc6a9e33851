// The command: started, its output pumped into a spool and on to the caller, stopped at its time
// limit, signalled when memolock is signalled.
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
#include "src/system/signals.hpp"

namespace memolock {

class Child;
struct ChildStart;
class Run;

struct CommandSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< all of it, "NAME=value"
  std::optional<Nanoseconds> max_runtime;
  int in = -1;                ///< its stdin; -1: this process's own
  int out = -1;               ///< of start_plain: where its stdout goes; -1: to this process's own
  int stop_descriptor = -1;   ///< when it becomes readable the command is stopped; -1: none
  bool defer_stdout = false;  ///< of start_spooled: its stdout waits for release_stdout()
  /// Of start_spooled: how long after its exit the end of its stdout is waited for.
  Nanoseconds drain = forever;
  /// Called when the command has run for a moment, 20 ms, of a run that is to be seen to its end;
  /// empty: there is nothing to be done then.
  std::function<void()> on_long_run = nullptr;
  /// Removed when this process is killed while the command runs.
  CleanupPath scratch = {};
};

/// How a run ended.
struct RunResult {
  ExitKind exit_kind = ExitKind::exited;
  int status = 0;        ///< the command's, or 128+N, 124, 126, 127
  int interrupted = 0;   ///< the first signal that memolock got while it ran; 0 for none
  bool unknown = false;  ///< its status cannot be had: 125. A plain run has said so
  bool stopped = false;  ///< by `stop_descriptor`
  /// The processes that could not be killed, "12 (sudo), 34 (sleep)"; empty: none is left.
  std::string left_running;
  bool cut_short =
      false;  ///< it was stopped: its readers are not to be waited for as long as they like
  Nanoseconds begun{0}, ended{0};  ///< wall clock
  Nanoseconds run_time{0};
};

/// Runs one command, once. A run is over when the command has exited and its output is at end of
/// file, or is not waited for any longer: stdout for CommandSpec::drain, but not past the time
/// limit of a command that has kept it, and stderr for a moment. What comes later is not part of
/// the run.
///
/// Whatever can fail is done before the command starts: from then on no function throws. There is
/// no way back from there to running it again, and whoever holds its RunResult knows that it has
/// run.
class Command {
 public:
  /// Keeps a reference to `signals`. Throws Error(interrupted) when a message has been dropped for
  /// one of them.
  Command(CommandSpec launch, Signals& signals);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Starts it with the caller's own descriptors; its run is over when the command has exited.
  /// Throws Error(store) when it has not been started. Where it cannot be watched, this process
  /// becomes the command, unless CommandSpec has a limit or `on_long_run`.
  void start_plain();

  /// Starts it with stdout and stderr going to `spool` and, from there, to this process's own.
  /// Throws Error(store) when it has not been started.
  void start_spooled(const std::shared_ptr<Spool>& spool);

  /// Sees it to its end. When the spool refuses, or the output cannot be read, `refused` is called
  /// once, and the rest passes by the spool at its readers' pace. One that could not be executed
  /// has ended too: ExitKind::not_started, and has said so.
  [[nodiscard]] RunResult finish(const std::function<void()>& refused = nullptr) noexcept;

  /// Lets what CommandSpec::defer_stdout has kept back go on to the caller; what the spool has
  /// refused has gone already. After finish(), before drain().
  void release_stdout() noexcept;

  struct Drained {
    int interrupted = 0;  ///< the signal that came first; 0 when all has been passed on
    int error =
        0;  ///< why the output could not be passed on; 0 for none, also when its reader has left
  };
  /// After finish(): waits until the readers have taken what is still in the spool, but no longer
  /// than `patience`.
  [[nodiscard]] Drained drain(Nanoseconds patience) noexcept;

  /// After drain(), and all else that is written here: what comes later. Of a stream that has not
  /// been drained it goes nowhere.
  [[nodiscard]] LateOutput late_output() noexcept;

 private:
  void start(const ChildStart& plan);
  void say_not_started() noexcept;

  CommandSpec spec_;
  Signals& signals_;
  std::shared_ptr<Spool> spool_;
  std::vector<std::shared_ptr<OutputForwarder>> forwarders_;
  std::unique_ptr<Run> run_;
  std::unique_ptr<Child> child_;
  Nanoseconds begun_{0}, boot_begun_{0};
  int start_error_ = 0;  // why it could not be executed
  int read_error_ = 0;   // why not all of its output could be read
};

}  // namespace memolock
