// A run in the Redis store whose outcome other processes deliver (--external).
#pragma once

#include <memory>
#include <string>

#include "src/redis_store/context.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// See Store::open_promise().
[[nodiscard]] std::unique_ptr<Promise> open_redis_promise(RedisStoreContext& context,
                                                          const Key& key, const std::string& token);

}  // namespace memolock
