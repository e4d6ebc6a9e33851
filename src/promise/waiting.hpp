// Functions for `get`, `once` and `lock` while another process holds the lock: pauses, the
// deadline, texts about a holder, and the check for a deadlock.
#pragma once

#include <string>

#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The pauses between attempts while the lock is held but no run is visible: the holder is about to
/// begin its run, or to release the lock. Used by one thread.
class Backoff {
 public:
  /// Sleeps: 1 ms at first, twice as long each time, up to 20 ms, and 100 ms after 100 pauses.
  /// Returns false if the descriptor `interrupt` became readable.
  [[nodiscard]] bool pause(int interrupt);
  /// Starts again with the shortest pause.
  void reset() { *this = {}; }
  /// Whether the pauses have taken longer than a holder needs to begin its run, or a waiter to take
  /// over from a dead holder: 16 pauses.
  [[nodiscard]] bool is_exhausted() const;

 private:
  // Not shorter: the attempts of many waiters would take processor time from the holder.
  Nanoseconds next_ = std::chrono::milliseconds(1);
  int pauses_ = 0;
};

/// When the request stops waiting for other holders (--wait); boot clock, `forever` without a
/// limit.
[[nodiscard]] Nanoseconds deadline_of(const Request& request);

/// "HOST:PID", or "another program".
[[nodiscard]] std::string describe_holder(const Record& run);

/// "HOST:PID, running for 12s", or "HOST:PID, promised for 12s". `now`: the store's clock.
[[nodiscard]] std::string describe_run(const Record& run, Nanoseconds now);

/// Whether this process was started, directly or not, by the command of that run.
[[nodiscard]] bool is_inside_run(const Request& request, const Record& run);
/// Throws Error(usage) if is_inside_run(): waiting for that run would never end.
void reject_deadlock(const Request& request, const Record& run);

}  // namespace memolock
