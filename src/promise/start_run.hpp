// How `get`, `once` and `lock` start a command, and how a run that was interrupted ends.
#pragma once

#include <string>

#include "src/command/command.hpp"
#include "src/entry/request.hpp"
#include "src/promise/process_launcher.hpp"
#include "src/store/store.hpp"
#include "src/system/error.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// The record of a run of the request's command that begins at `now` (store's clock) under `lock`.
[[nodiscard]] Record record_of_run(const Request& request, const Lock& lock, Nanoseconds now);

/// How to start the request's command under `lock`. The result keeps a reference to the lock: if
/// the run is long, it starts the renewal of the lock. `control`: the path in MEMOLOCK_CONTROL.
[[nodiscard]] CommandSpec command_spec(const Request& request, Lock& lock,
                                       const std::string& control);

/// Runs the request's command without a store. Throws Error(store) if it could not be started.
[[nodiscard]] Outcome run_uncached(const Request& request, Signals& signals, const Log& log,
                                   ProcessLauncher& launcher = process_launcher());

/// If the run was interrupted, marks the outcome as interrupted. If the signal also ended the
/// command, the call ends with the same signal.
void apply_interruption(Outcome& outcome, const RunResult& ending) noexcept;

/// The outcome of a call that is ended by the signal that is pending in `signals`.
[[nodiscard]] Outcome outcome_of_signal(Signals& signals) noexcept;

/// Returns what `work` returns, or outcome_of_signal() if a signal interrupts a request of `work`
/// to the store.
template <typename Work>
[[nodiscard]] Outcome until_interrupted(Signals& signals, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::interrupted) throw;
    return outcome_of_signal(signals);
  }
}

}  // namespace memolock
