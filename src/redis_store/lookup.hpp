// Reads the stored data of an entry.
#pragma once

#include <memory>

#include "src/entry/key.hpp"
#include "src/redis_store/context.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// See Store::look_up(). Records the version that it finds in `context.last_seen`.
[[nodiscard]] std::unique_ptr<Entry> look_up_entry(RedisStoreContext& context, const Key& key);

/// The outcome of the last run that is not an entry: a failure, or an outcome for its waiters. Null
/// if there is none, or if it is larger than permitted. Throws Error(store).
[[nodiscard]] std::unique_ptr<Entry> read_last_outcome(RedisStoreContext& context, const Key& key);

}  // namespace memolock
