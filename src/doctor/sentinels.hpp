// The checks of `doctor` for the sentinels of a Redis service.
#pragma once

#include <vector>

#include "src/doctor/finding.hpp"
#include "src/redis/address.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Whether each sentinel can be reached, knows the primary, agrees with the others about it, and
/// could promote a replica. `timeout`: for connecting to each of them, and for its replies. Throws
/// only Error(interrupted).
[[nodiscard]] std::vector<Finding> examine_sentinels(const RedisAddress& service,
                                                     Nanoseconds timeout);

}  // namespace memolock
