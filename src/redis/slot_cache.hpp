// What one process has learned of a Redis cluster, for the next one on this machine: a file beside
// the local store.
#pragma once

#include "src/redis/address.hpp"
#include "src/redis/slots.hpp"

namespace memolock {

/// What was remembered of it last; empty: nothing, or nothing that this user has written. The
/// cluster may have changed since, and the node that is there now be another one.
[[nodiscard]] SlotMap read_cached_slots(const RedisCluster& cluster);

/// Remembers it, if it can. What was not used for months is forgotten.
void cache_slots(const RedisCluster& cluster, const SlotMap& map);

}  // namespace memolock
