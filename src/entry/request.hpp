// What a caller asks of memolock, and how the call ended.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/key.hpp"
#include "src/entry/token.hpp"
#include "src/system/clock.hpp"

namespace memolock {

enum class OnTimeout { fail, run, stale };
enum class OnFailure { share, retry };
enum class OnLostLease { keep_running, kill };

struct Request {
  Key key;
  std::vector<std::string> command;  ///< empty: look up only
  int input = -1;                    ///< the command's stdin; -1: this process's own
  std::optional<Nanoseconds> ttl;    ///< always there with a command
  std::optional<Nanoseconds> wait;   ///< none: forever; for a look-up: not at all
  Nanoseconds asked = boot_now();    ///< when the wait begins
  int skip_status = 0;               ///< of `once`: what it exits with when it does not run
  OnTimeout on_timeout = OnTimeout::fail;
  OnFailure on_failure = OnFailure::share;
  OnLostLease on_lost_lease = OnLostLease::keep_running;
  bool refresh = false;
  Nanoseconds stale{0};
  Nanoseconds stale_if_error{0};
  std::optional<double> early;                ///< beta
  double jitter = 0;                          ///< percent
  std::optional<Nanoseconds> cache_failures;  ///< how long a failure is kept; none: not at all
  Producer producer = Producer::command;
  Nanoseconds lease{0};   ///< how long a promise lives that others are to keep
  bool keep = true;       ///< false: share a run in progress, but store nothing
  bool uncached = false;  ///< the command is run with no store at all
  std::optional<Nanoseconds> max_runtime;
  Nanoseconds drain = forever;  ///< how long after the command's exit its stdout is waited for
  uint64_t max_entry = UINT64_MAX;
  std::vector<std::string> artifacts;  ///< paths that the command makes
  std::vector<HeldLock> held;          ///< by this process's ancestors
  std::string store_url;               ///< what the command finds in MEMOLOCK_STORE
  std::string promise_url;             ///< and in MEMOLOCK_RUN_STORE
};

/// How a call ended. The names are those of --report; `background` is none of a caller's: it says
/// that this process is the one that has refreshed an entry for callers who are gone.
enum class OutcomeKind {
  hit,
  miss,
  ran,      ///< of `once` and `lock`: the command, nothing of which is kept
  skipped,  ///< of `once`: there was no need to run it
  waited,
  stale,
  bypass,
  absent,
  timeout,
  interrupted,
  error,
  background
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::absent;
  int status = 0;  ///< what memolock exits with
  int signal =
      0;  ///< the signal that memolock was told to end by, and the command with it; 0 for none
  int output_error = 0;  ///< errno: the output did not reach the caller; 0
  /// Of the entry that was replayed; how long ago the run began for which this one was skipped.
  std::optional<Nanoseconds> age;
  std::optional<Nanoseconds> run_time;  ///< of the run whose output the caller got, or that run
  uint64_t bytes = 0;   ///< of output that was replayed, and not made by this call's own run
  bool stored = false;  ///< this call's run left something in the store
  bool fell_back_to_stale =
      false;                ///< what was replayed stands in for this call's own run, which failed
  std::string store_error;  ///< what the store refused after the command had started
};

/// Whether this call got the output of a run that it did not have to do itself.
[[nodiscard]] inline bool avoided_a_run(const Outcome& outcome) {
  const OutcomeKind kind = outcome.kind;
  return (kind == OutcomeKind::hit || kind == OutcomeKind::waited || kind == OutcomeKind::stale) &&
         !outcome.fell_back_to_stale;
}

[[nodiscard]] inline Outcome ended(OutcomeKind kind, int status, int signal = 0) noexcept {
  Outcome outcome;
  outcome.kind = kind;
  outcome.status = status;
  outcome.signal = signal;
  return outcome;
}

}  // namespace memolock
