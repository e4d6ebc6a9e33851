// How a Redis store is reached and used.
#pragma once

#include <algorithm>
#include <cstdint>

#include "src/redis/address.hpp"
#include "src/system/clock.hpp"

namespace memolock {

struct RedisSettings {
  RedisAddress address;
  Nanoseconds lease{0};
  Nanoseconds timeout{0};  ///< for connecting, and for each request; see ProgressTimeout
  uint64_t max_entry = 0;  ///< the maximum number of bytes to read for one entry

  /// How long to retry a request that must survive a failover: sentinels, and the nodes of a
  /// cluster, need some seconds to elect another primary.
  [[nodiscard]] Nanoseconds failover_timeout() const {
    return address.is_direct() ? timeout : std::max(timeout, lease);
  }
};

}  // namespace memolock
