// What all runs of a command have in common, whichever verb is asked for.
#pragma once

#include <string>
#include <vector>

#include "src/command/command.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/error.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// The record of the request's run that begins now under `lock`; `now` is the store's clock.
[[nodiscard]] Record record_of_run(const Request& request, const Lock& lock, Nanoseconds now);

/// What starts its command and keeps the lock alive, of which it keeps a reference. `control`: the
/// command's MEMOLOCK_CONTROL.
[[nodiscard]] CommandSpec command_spec(const Request& request, Lock& lock,
                                       const std::string& control);

/// Runs the request's command with no store at all. Throws Error(store) when it has not been
/// started.
[[nodiscard]] Outcome run_uncached(const Request& request, Signals& signals, const Log& log);

/// What the caller is to be warned of about how the run ended: what stopped the command, and what
/// could not be stopped. A line each, without the entry's name.
[[nodiscard]] std::vector<std::string> warnings_about(const Request& request,
                                                      const RunResult& ending);

/// What -v says of a command that has failed by itself: its status, or the signal; empty where
/// there is nothing to say, or something else has said it.
[[nodiscard]] std::string describe_failure(const RunResult& ending);

/// How the run of a record failed, in words that follow "the command".
[[nodiscard]] std::string describe_failure(const Record& record);

/// What becomes of a call whose own command was interrupted, if it was: it ends by the same signal
/// if the command did.
void note_interruption(Outcome& outcome, const RunResult& ending) noexcept;

/// What becomes of a call that got a signal: it ends by it.
[[nodiscard]] Outcome end_by_signal(Signals& signals) noexcept;

/// What `work` returns; a signal that comes during its request to the store ends the call.
template <typename Work>
[[nodiscard]] Outcome until_interrupted(Signals& signals, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::interrupted) throw;
    return end_by_signal(signals);
  }
}

}  // namespace memolock
