// Finds all entries on a server or in a cluster.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/entry/key.hpp"
#include "src/redis/session.hpp"
#include "src/redis_store/context.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// Visits the names of entries with SCAN, on each node of a cluster. Used by the store's thread.
/// Every member may throw Error(store).
class RedisScan {
 public:
  /// Keeps a reference to `context`. `wait_limit`: the limit of requests to the nodes of a cluster.
  RedisScan(RedisStoreContext& context, const WaitLimit& wait_limit)
      : context_(context), wait_limit_(wait_limit) {}

  /// A session for each server that has keys. On a cluster, the first call determines these
  /// servers.
  [[nodiscard]] std::vector<RedisSession*> nodes();

  /// Calls `visit` once for each key of `tag`, or of all tags, for which anything is stored, with
  /// the index in nodes() of the node that has it. Calls `on_progress` after each node. Throws
  /// Error(store) if SCAN does not end, or names millions of entries.
  void each_key(const std::optional<std::string>& tag, const Progress& on_progress,
                const std::function<void(const Key&, size_t node)>& visit);

 private:
  void scan_node(RedisSession& node, const std::string& pattern,
                 const std::function<bool(const std::string& name)>& is_new) const;

  RedisStoreContext& context_;
  WaitLimit wait_limit_;
  std::vector<std::unique_ptr<RedisSession>> cluster_nodes_;
};

}  // namespace memolock
