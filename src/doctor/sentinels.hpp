// Whether the sentinels of a Redis service are fit to be asked.
#pragma once

#include <vector>

#include "src/doctor/finding.hpp"
#include "src/redis/address.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// What each of them says: whether it is reachable, knows the master, agrees with the others, and
/// could have a replica take over. `timeout` is for each. Throws Error(interrupted) alone.
[[nodiscard]] std::vector<Finding> examine_sentinels(const RedisAddress& service,
                                                     Nanoseconds timeout);

}  // namespace memolock
