// The command: started, its output pumped into a spool and on to the caller, stopped at its time
// limit, signalled when memolock is signalled.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/clock.hpp"
#include "src/entry.hpp"
#include "src/outlet.hpp"
#include "src/signals.hpp"
#include "src/spool.hpp"

namespace memolock {

class Child;

struct Launch {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< all of it, "NAME=value"
  std::optional<Nanoseconds> max_runtime;
  int in = -1;               ///< its stdin; -1: this process's own
  int out = -1;              ///< of run_plain: where its stdout goes; -1: to this process's own
  int stop_descriptor = -1;  ///< when it becomes readable the command is stopped; -1: none
  bool hold_out = false;     ///< of run_spooled: its stdout waits for let_out()
  /// Called when the command has run for a moment, 20 ms, of a run that is to be seen to its end;
  /// empty: there is nothing to be done then.
  std::function<void()> lasting = nullptr;
};

/// How a run ended.
struct Ending {
  End end = End::exited;
  int status = 0;        ///< the command's, or 128+N, 124, 126, 127
  int interrupted = 0;   ///< the first signal that memolock got while it ran; 0 for none
  bool stopped = false;  ///< by `stop_descriptor`
  bool cut_short =
      false;  ///< it was stopped: its readers are not to be waited for as long as they like
  Nanoseconds begun{0}, ended{0};  ///< wall clock
  Nanoseconds run_time{0};
};

/// Runs one command, once. A run is over when the command has exited and its output is at end of
/// file.
class Command {
 public:
  /// Keeps a reference to `signals`.
  Command(Launch launch, Signals& signals);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// Runs it with the caller's own descriptors. This run is over when the command has exited. Where
  /// it cannot be watched, this process becomes the command, unless Launch has a limit or
  /// `lasting`: then throws Error(store).
  [[nodiscard]] Ending run_plain();

  /// Runs it with stdout and stderr going to `spool` and, from there, to this process's own. When
  /// the spool refuses, `refused` is called once, and the rest passes by the spool at its readers'
  /// pace.
  [[nodiscard]] Ending run_spooled(const std::shared_ptr<Spool>& spool,
                                   const std::function<void()>& refused);

  /// Lets what Launch::hold_out has kept back go on to the caller; what the spool has refused has
  /// gone already. Before drain().
  void let_out();

  struct Drained {
    int interrupted = 0;  ///< the signal that came first; 0 when all has been passed on
    int error =
        0;  ///< why the output could not be written; 0 for none, also when its reader has left
  };
  /// After run_spooled: waits until the readers have taken what is still in the spool, but no
  /// longer than `patience`.
  [[nodiscard]] Drained drain(Nanoseconds patience);

 private:
  Launch launch_;
  Signals& signals_;
  std::unique_ptr<Child> child_;
  std::vector<std::shared_ptr<Outlet>> outlets_;
};

}  // namespace memolock
