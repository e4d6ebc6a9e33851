// What all who wait for the run of another have in common, whichever verb is asked for.
#pragma once

#include <string>

#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The pauses of one who finds the lock taken but no run to wait for: the holder is about to begin
/// or to end.
class Backoff {
 public:
  /// Sleeps, each time longer. False: `interrupt` became readable.
  [[nodiscard]] bool pause(int interrupt);
  void reset() { *this = {}; }
  /// Whether it has gone on for longer than a holder needs for that, or a waiter to take over from
  /// a dead one.
  [[nodiscard]] bool is_long() const;

 private:
  // Not shorter: of many, the tries would take the processor from the one they wait for.
  Nanoseconds next_ = std::chrono::milliseconds(1);
  int tries_ = 0;
};

/// When the request's patience with other holders ends; boot clock.
[[nodiscard]] Nanoseconds deadline_of(const Request& request);

/// "HOST:PID", or "another program".
[[nodiscard]] std::string describe_holder(const Record& run);

/// "HOST:PID, at work for 12s", or what else is known of a run. `now` is the store's clock.
[[nodiscard]] std::string describe_run(const Record& run, Nanoseconds now);

/// Whether this process belongs to that run.
[[nodiscard]] bool is_inside(const Request& request, const Record& run);
/// Throws Error(usage) when it does, and would wait for it.
void refuse_deadlock(const Request& request, const Record& run);

}  // namespace memolock
