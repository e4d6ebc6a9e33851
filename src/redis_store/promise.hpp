// A run in the Redis store that processes other than its holder complete (--external).
#pragma once

#include <memory>
#include <string>

#include "src/redis_store/context.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// As Store::promise.
[[nodiscard]] std::unique_ptr<Promise> open_redis_promise(RedisStoreContext& context,
                                                          const Key& key, const std::string& token);

}  // namespace memolock
