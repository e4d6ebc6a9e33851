// The promise protocol, stated once.
//
// Of all callers who want an entry, one runs the command; the others take what it leaves:
//
// 1. Look up. A fresh entry is replayed, and that is all.
// 2. Else try to take the lock. Who gets it looks up once more (the last holder may have stored
//    between the two steps), runs the command, stores what it left, wakes the waiters and releases
//    the lock.
// 3. Else watch the run in progress, look up once more (it may have ended before the watch began),
//    and sleep. Woken with an outcome, take it if it answers; woken without one, the holder has
//    died: begin anew, and perhaps take over.
//
// What a waiter makes of an outcome:
//
// - success: take it. With --refresh only if the run began after this call, else begin anew.
// - failure: take it, status and all. With --on-failure retry begin anew.
// - not started, or killed by a signal: it may be that machine's trouble, so begin anew; but take
//   the second such end in a row.
// - too large or not storable: run the command at once, uncached.
// - holder interrupted or dead: begin anew.
//
// Nobody stores without the lock, and the command's output reaches its caller whatever the store
// does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/freshness.hpp"
#include "src/log.hpp"
#include "src/signals.hpp"
#include "src/store.hpp"

namespace memolock {

enum class OnTimeout { fail, run, stale };
enum class OnFailure { share, retry };

struct Request {
  Key key;
  std::vector<std::string> command;  ///< empty: look up only
  std::optional<Nanoseconds> ttl;    ///< always there with a command
  std::optional<Nanoseconds> wait;   ///< none: forever; for a look-up: not at all
  OnTimeout on_timeout = OnTimeout::fail;
  OnFailure on_failure = OnFailure::share;
  bool refresh = false;
  bool keep = true;  ///< false: share a run in progress, but store nothing
  std::optional<Nanoseconds> max_runtime;
  uint64_t max_entry = UINT64_MAX;
  std::vector<HeldLock> held;  ///< by this process's ancestors
  std::string store_url;       ///< what the command finds in MEMOLOCK_STORE
};

/// How a call ended. The names are those of --report.
enum class How { hit, miss, waited, stale, bypass, absent, timeout, interrupted, error };

struct Outcome {
  How how = How::absent;
  int status = 0;  ///< what memolock exits with
  int signal =
      0;  ///< the signal that memolock was told to end by, and the command with it; 0 for none
  int output_error = 0;                 ///< errno: the output did not reach the caller; 0
  std::optional<Nanoseconds> age;       ///< of the entry that was replayed
  std::optional<Nanoseconds> run_time;  ///< of the run whose output the caller got
  std::string store_error;              ///< what the store refused after the command had started
};

/// Carries out `request`. Throws Error(store) only before the command has started, Error(usage) for
/// a request that would wait for itself.
[[nodiscard]] Outcome get(const Request& request, Store& store, Signals& signals, const Log& log);

/// Runs the request's command with no store at all.
[[nodiscard]] Outcome run_uncached(const Request& request, Signals& signals);

}  // namespace memolock
