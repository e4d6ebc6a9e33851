// Caches the slots of a Redis cluster in a file of the local store, for later processes on this
// machine.
#pragma once

#include "src/redis/address.hpp"
#include "src/redis/slots.hpp"

namespace memolock {

/// The map that was cached last. Empty if there is none, or if another user has written the file.
/// The cluster may have changed since; even the address of a node may now belong to another node.
/// Never throws Error.
[[nodiscard]] SlotMap read_cached_slots(const RedisCluster& cluster);

/// Caches `map` if possible, and removes files that have not been written for 90 days. Never throws
/// Error.
void cache_slots(const RedisCluster& cluster, const SlotMap& map);

}  // namespace memolock
