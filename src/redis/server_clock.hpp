// The clock of a Redis server.
#pragma once

#include <optional>

#include "src/redis/reply.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The server's clock, computed from its last reply to TIME and the time that has passed on this
/// machine since. Accurate to within the round trip of that reply.
class ServerClock {
 public:
  /// Whether set() was called.
  [[nodiscard]] bool is_set() const { return ahead_.has_value(); }
  /// Nanoseconds since the epoch. Requires is_set().
  [[nodiscard]] Nanoseconds now() const { return boot_now() + *ahead_; }
  /// Sets the clock by the reply to TIME, or its two elements, which must have just arrived.
  /// Returns the time in it. Throws UnexpectedReply unless that is a time before the year 2200.
  Nanoseconds set(const RedisReply& time);
  Nanoseconds set(const RedisReply& seconds, const RedisReply& microseconds);

 private:
  std::optional<Nanoseconds> ahead_;  // how far the server's clock is ahead of the boot clock
};

}  // namespace memolock
