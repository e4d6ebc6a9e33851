// Lists a Redis store for `ls`.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "src/redis_store/context.hpp"
#include "src/redis_store/scan.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// See Store::list(). Up to 100 000 entries, whose names have at most 8 MiB, are listed in the
/// order of tag and id; more are listed in the order of SCAN. Requests many entries from a node in
/// one round trip. Throws Error(store).
void list_entries(RedisStoreContext& context, RedisScan& scan,
                  const std::optional<std::string>& tag, const Progress& on_progress,
                  const std::function<void(const ListedEntry&)>& each);

}  // namespace memolock
