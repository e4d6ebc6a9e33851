// How a command is to be run and its result to be shared, as specified by the options of `get`,
// `once` and `lock`. The same for every store.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/token.hpp"
#include "src/system/clock.hpp"

namespace memolock {

enum class OnTimeout { fail, run, stale };
enum class OnFailure { share, retry };
enum class OnLostLease { keep_running, kill };

/// Plain values without validation: cli/option_rules.hpp says which of them can be combined.
struct RunPolicy {
  std::optional<Nanoseconds> ttl;           ///< always set when a command is run in a store
  std::optional<Nanoseconds> wait;          ///< none: forever, but a look-up does not wait
  OnTimeout on_timeout = OnTimeout::fail;   ///< when `wait` has passed
  OnFailure on_failure = OnFailure::share;  ///< when the holder's command has failed
  OnLostLease on_lost_lease = OnLostLease::keep_running;
  bool refresh = false;  ///< do not use the result of a run that began before this call
  Nanoseconds stale{0};  ///< how long after its ttl an entry is served while it is refreshed
  Nanoseconds stale_if_error{0};  ///< how long after its ttl it is served if the command fails
  std::optional<double> early;    ///< the beta of the XFetch rule; none: never early
  double jitter = 0;              ///< shortens each ttl at random by up to this many percent
  std::optional<Nanoseconds> cache_failures;  ///< how long to store a failure; none: not at all
  Producer producer = Producer::command;
  Nanoseconds lease = default_lease;       ///< of a lock on a server, and of a promise
  std::optional<Nanoseconds> max_runtime;  ///< none: no limit
  Nanoseconds drain = forever;             ///< how long to read stdout after the command has exited
  int skip_status = 0;                     ///< the exit status of `once` if it skips the command
  std::vector<std::string> artifacts;      ///< paths that the command creates
};

}  // namespace memolock
