// A run in the Redis store: its lock, held by the one who runs the command, and its promise, kept
// by others.
#pragma once

#include <memory>
#include <string>

#include "src/redis_store/store.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// As Store::try_acquire.
[[nodiscard]] std::unique_ptr<Lock> acquire_redis_lock(RedisStore& store, const Key& key,
                                                       Producer producer);

/// As Store::promise.
[[nodiscard]] std::unique_ptr<Promise> redis_promise(RedisStore& store, const Key& key,
                                                     const std::string& token);

}  // namespace memolock
