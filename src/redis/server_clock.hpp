// The clock of a Redis server.
#pragma once

#include <optional>

#include "src/redis/reply.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// What the server's clock shows, from its last answer to TIME and the time that has passed here
/// since. Right to within the round trip of that answer.
class ServerClock {
 public:
  /// Whether set() was called.
  [[nodiscard]] bool is_set() const { return ahead_.has_value(); }
  /// Nanoseconds since the epoch. Requires is_set().
  [[nodiscard]] Nanoseconds now() const { return boot_now() + *ahead_; }
  /// Takes the reply to TIME, or its two elements, which has just arrived. Returns the time in it.
  /// Throws UnexpectedReply when it is no time until the year 2200.
  Nanoseconds set(const RedisReply& time);
  Nanoseconds set(const RedisReply& seconds, const RedisReply& microseconds);

 private:
  std::optional<Nanoseconds> ahead_;  // of the boot clock
};

}  // namespace memolock
