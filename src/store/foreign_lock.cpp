#include "src/store/foreign_lock.hpp"

#include <fmt/format.h>

#include "src/system/units.hpp"

namespace memolock {

bool outlasts_waiting(Nanoseconds left) { return left > std::chrono::hours(24); }

std::string describe_long_lock(const Key& key, Nanoseconds left) {
  const std::string length = left == forever
                                 ? "without an expiry"
                                 : fmt::format("for the next {}", format_duration(left));
  return fmt::format("{} is locked by another program {}", key.shown(), length);
}

}  // namespace memolock
