#include "src/redis/retry.hpp"

#include <algorithm>
#include <utility>

#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;

constexpr Nanoseconds first_pause = milliseconds(20);
constexpr Nanoseconds longest_pause = milliseconds(500);
// While nodes disagree, they could redirect a client to each other forever.
constexpr int max_redirections = 5;

}  // namespace

RedisRetry::RedisRetry(Nanoseconds timeout, Nanoseconds retry_for, const WaitLimit& wait_limit)
    : timeout_(timeout),
      retry_for_(retry_for),
      wait_limit_(wait_limit),
      begun_(boot_now()),
      pause_(first_pause) {}

Nanoseconds RedisRetry::deadline_in(Nanoseconds length) const {
  return std::min(after(begun_, length), wait_limit_.until);
}

RedisRetry::Decision RedisRetry::pause_until(Nanoseconds deadline) {
  deadline_ = deadline;
  return boot_now() < deadline ? Decision::after_pause : Decision::give_up;
}

RedisRetry::Decision RedisRetry::after_redirection() {
  // Connecting to the first node and the request to it may each have taken the whole timeout.
  const Nanoseconds last = deadline_in(std::max(after(timeout_, timeout_), retry_for_));
  if (++redirections_ <= max_redirections && boot_now() < last) return Decision::at_once;
  redirections_ = 0;
  return after_busy();
}

RedisRetry::Decision RedisRetry::after_busy() {
  return pause_until(deadline_in(std::max(timeout_, retry_for_)));
}

RedisRetry::Decision RedisRetry::after_lost_node() {
  return std::exchange(has_tried_other_nodes_, true) ? after_lost_connection() : Decision::at_once;
}

RedisRetry::Decision RedisRetry::after_lost_connection() {
  return pause_until(deadline_in(retry_for_));
}

void RedisRetry::pause() {
  const Nanoseconds end = std::min(boot_now() + pause_, deadline_);
  if (await_readable(-1, wait_limit_.interrupt, end) == WaitEnd::interrupted)
    throw interrupted_error();
  pause_ = std::min(2 * pause_, longest_pause);
}

}  // namespace memolock
