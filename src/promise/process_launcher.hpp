// The processes that a call starts: its command, and the copy of itself that refreshes an entry in
// the background. All other code in this directory starts processes only through this interface, so
// that a test can run the protocol without starting processes
// (tests/helpers/protocol_branches.cpp).
//
// It is used on a miss and for a refresh, never on a hit.
#pragma once

#include <memory>

#include "src/command/command.hpp"
#include "src/system/daemonize.hpp"
#include "src/system/function_ref.hpp"

namespace memolock {

/// One run of one command. Each method has the contract of the method of the same name in Command.
class CommandRun {
 public:
  virtual ~CommandRun() = default;
  virtual void start_plain() = 0;
  virtual void start_spooled(const std::shared_ptr<Spool>& spool) = 0;
  [[nodiscard]] virtual RunResult finish(FunctionRef<void> refused) noexcept = 0;
  virtual void release_stdout() noexcept = 0;
  [[nodiscard]] virtual Command::Drained drain(Nanoseconds patience) noexcept = 0;
  [[nodiscard]] virtual LateOutput late_output() noexcept = 0;
};

class ProcessLauncher {
 public:
  virtual ~ProcessLauncher() = default;
  /// Prepares a command without starting it. The result keeps a reference to `signals`. Throws
  /// Error(interrupted) as Command's constructor does.
  [[nodiscard]] virtual std::unique_ptr<CommandRun> prepare(CommandSpec spec, Signals& signals) = 0;
  /// See memolock::daemonize().
  [[nodiscard]] virtual ProcessRole daemonize() = 0;
};

/// The launcher of real processes. It has no state, and exists until this process ends.
[[nodiscard]] ProcessLauncher& process_launcher() noexcept;

}  // namespace memolock
