// Which node of a cluster a request goes to.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/redis/address.hpp"
#include "src/redis/progress_timeout.hpp"
#include "src/redis/slots.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// Knows which node has which slots: at first from the cache that an earlier process has left,
/// which may be out of date. Without a cache, requests go to the first node of the URL. A node that
/// does not have the slot redirects to the one that has. Used by one thread.
class RedisRouter {
 public:
  /// `timeout` bounds asking all nodes for their slots. Keeps references to `cluster` and `log`.
  RedisRouter(const RedisAddress& cluster, Nanoseconds timeout, const Log& log);

  struct Route {
    RedisHost host;
    std::string id;                   ///< that the node must have; empty: not known
    bool is_for_one_request = false;  ///< which must begin with ASKING
    bool should_ask_slots = false;    ///< pass the reply to CLUSTER SLOTS to update_map()
  };
  /// Where to send a request about `slot`. After report_unreachable() it asks the other nodes
  /// first, and throws Error(store) when they name the same node again. `wait_limit`: as of
  /// RedisConnection.
  [[nodiscard]] Route route(uint16_t slot, const WaitLimit& wait_limit);

  /// Whether a request about `slot` may go to `host`, as far as is known.
  [[nodiscard]] bool may_be_at(uint16_t slot, const RedisHost& host) const;

  /// The next route, named by a node.
  void redirect(const Redirection& to);
  /// `host` cannot be reached, or is cut off from the other nodes. `error`: what route() throws
  /// when they name it again; empty: it may be tried again.
  void report_unreachable(const RedisHost& host, const std::string& error);
  /// The map was wrong about a node.
  void discard_map();
  /// Takes the reply of `asked` to CLUSTER SLOTS. Throws UnexpectedReply.
  void update_map(const RedisReply& reply, const RedisHost& asked);

  /// Asks the nodes which slots they have now. Throws Error(store).
  const SlotMap& ask_for_slots(const WaitLimit& wait_limit);

 private:
  struct UnreachableHost {
    RedisHost host;
    std::string error;
  };
  [[nodiscard]] std::vector<RedisHost> hosts_except(const RedisHost& than) const;
  void ask_hosts(const std::vector<RedisHost>& hosts, const WaitLimit& wait_limit,
                 const std::function<bool()>& is_enough);
  void ask_other_hosts(uint16_t slot, const WaitLimit& wait_limit);

  const RedisAddress& cluster_;
  Nanoseconds timeout_;
  const Log& log_;
  SlotMap map_;
  bool is_cached_ = true;  // the map is that of an earlier process
  bool has_read_cache_ = false;
  bool should_ask_slots_ = false;  // the node of the next route
  std::optional<Redirection> redirection_;
  std::optional<UnreachableHost> unreachable_;
};

}  // namespace memolock
