// Reading what is stored for an entry.
#pragma once

#include <memory>

#include "src/entry/key.hpp"
#include "src/redis_store/context.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// See Store::look_up(). Notes what it finds in `context.last_seen`.
[[nodiscard]] std::unique_ptr<Entry> look_up_entry(RedisStoreContext& context, const Key& key);

/// What the last run left that is not an entry: a failure, or an outcome for its waiters. Null when
/// there is nothing, or more than may be read. Throws Error(store).
[[nodiscard]] std::unique_ptr<Entry> read_last_outcome(RedisStoreContext& context, const Key& key);

}  // namespace memolock
