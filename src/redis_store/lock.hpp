// A lock in the Redis store, held by the process that runs the command.
#pragma once

#include <memory>

#include "src/redis_store/context.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// See Store::try_acquire().
[[nodiscard]] std::unique_ptr<Lock> acquire_redis_lock(RedisStoreContext& context, const Key& key,
                                                       Producer producer);

}  // namespace memolock
