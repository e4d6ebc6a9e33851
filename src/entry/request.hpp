// The request of a caller, and how the call ended.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/held_lock.hpp"
#include "src/entry/key.hpp"
#include "src/entry/run_policy.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// A run policy, the entry to which it applies, and data from the caller's environment (held locks,
/// store URLs). cli/ creates one per call and passes it down unchanged. If the store cannot be
/// reached, it creates another one for the store that is used instead.
struct Request : RunPolicy {
  Key key;
  std::vector<std::string> command;   ///< empty: look up only
  int input = -1;                     ///< the command's stdin; -1: that of this process
  Nanoseconds asked_at = boot_now();  ///< when the time limit `wait` begins
  bool keep = true;                   ///< false: share a run in progress, but store nothing
  bool uncached = false;              ///< run the command without any store
  uint64_t max_entry = UINT64_MAX;    ///< bytes; a larger result is not stored
  std::vector<HeldLock> held{};       ///< locks of this process's ancestors
  std::string store_url{};            ///< the command's MEMOLOCK_STORE; "": the caller's
  std::string promise_url{};          ///< the command's MEMOLOCK_RUN_STORE; "": none
};

/// How a call ended; --report uses the same names. `background` is never reported to a caller: it
/// is the outcome of a process that refreshed an entry in the background.
enum class OutcomeKind {
  hit,          ///< a fresh entry was replayed
  miss,         ///< of `get`: the command was run under the lock
  ran,          ///< of `once` and `lock`: the command was run, and its output is not stored
  skipped,      ///< of `once`: the command did not have to be run
  waited,       ///< the call waited for the run of another caller, and replayed its result
  stale,        ///< a stale entry was replayed
  bypass,       ///< the command was run without the store
  absent,       ///< of a look-up: there is no entry
  timeout,      ///< the time limit of --wait passed
  interrupted,  ///< by a signal
  error,        ///< memolock itself failed
  background,
};

[[nodiscard]] const char* name_of(OutcomeKind kind);

/// The result of a call for cli/: how it ended, and the data for its report and the counters.
struct Outcome {
  OutcomeKind kind = OutcomeKind::absent;
  int status = 0;        ///< the exit status of memolock
  int signal = 0;        ///< the signal that ended memolock and the command; 0: none
  int output_error = 0;  ///< the errno if the output could not be written; 0: none
  /// The age of a replayed entry; for a skipped run, how long ago the last run began.
  std::optional<Nanoseconds> age;
  std::optional<Nanoseconds> run_time;  ///< of the run whose output the caller got
  uint64_t bytes = 0;                   ///< of replayed output; not of this call's own run
  bool stored = false;                  ///< the run of this call has stored something
  bool fell_back_to_stale = false;      ///< a stale entry was replayed because the run failed
  std::string store_error;  ///< the error of the store after the command had started; "": none
};

/// Whether this call got the output of a run without running the command itself.
[[nodiscard]] inline bool avoided_a_run(const Outcome& outcome) {
  const OutcomeKind kind = outcome.kind;
  return (kind == OutcomeKind::hit || kind == OutcomeKind::waited || kind == OutcomeKind::stale) &&
         !outcome.fell_back_to_stale;
}

[[nodiscard]] inline Outcome make_outcome(OutcomeKind kind, int status, int signal = 0) noexcept {
  Outcome outcome;
  outcome.kind = kind;
  outcome.status = status;
  outcome.signal = signal;
  return outcome;
}

}  // namespace memolock
