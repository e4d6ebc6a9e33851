#include "src/redis/server_clock.hpp"

namespace memolock {

Nanoseconds ServerClock::set(const RedisReply& time) {
  const auto [seconds, microseconds] = time.array<2>();
  return set(*seconds, *microseconds);
}

Nanoseconds ServerClock::set(const RedisReply& seconds, const RedisReply& microseconds) {
  // until the year 2200, so that durations can be added without overflow
  constexpr int64_t last = 7258118400;
  if (seconds.number() < 0 || seconds.number() > last) seconds.throw_unexpected();
  if (microseconds.number() < 0 || microseconds.number() >= 1000000)
    microseconds.throw_unexpected();
  const Nanoseconds time = std::chrono::seconds(seconds.number()) +
                           std::chrono::microseconds(microseconds.number());
  ahead_ = time - boot_now();
  return time;
}

}  // namespace memolock
