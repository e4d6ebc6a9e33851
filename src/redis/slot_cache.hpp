// The slots of a Redis cluster in a file beside the local store, for the next process on this
// machine.
#pragma once

#include "src/redis/address.hpp"
#include "src/redis/slots.hpp"

namespace memolock {

/// What was cached last. Empty when there is nothing, or another user has written it. The cluster
/// may have changed since, and another node may have the address of one in the map. Never throws.
[[nodiscard]] SlotMap read_cached_slots(const RedisCluster& cluster);

/// Caches `map`, if that is possible, and removes what was not used for months. Never throws.
void cache_slots(const RedisCluster& cluster, const SlotMap& map);

}  // namespace memolock
