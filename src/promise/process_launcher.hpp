// The processes that a call starts: its command, and the copy of itself that refreshes an entry in
// the background. Everything else in this directory starts processes through this interface only,
// so that a test can run the protocol without starting any (tests/helpers/protocol_branches.cpp).
//
// It is used on a miss and for a refresh, never on a hit.
#pragma once

#include <memory>

#include "src/command/command.hpp"
#include "src/system/daemonize.hpp"
#include "src/system/function_ref.hpp"

namespace memolock {

/// One run of one command. Each method requires and promises what the method of the same name of
/// Command does.
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

/// The launcher of real processes. Stateless, and lives as long as this process.
[[nodiscard]] ProcessLauncher& process_launcher() noexcept;

}  // namespace memolock
