// Finds the node of a cluster to which a request is sent.
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

/// Stores which node has which slots: at first from the cache of an earlier process, which may be
/// outdated. Without a cache, requests are sent to the first node of the URL. A node that does not
/// have the slot redirects to the node that has it. Used by one thread.
class RedisRouter {
 public:
  /// `timeout` is divided among the nodes when they are asked for their slots; asking all of them
  /// takes at most twice `timeout` or 3.6 s, whichever is longer. Keeps references to `cluster` and
  /// `log`.
  RedisRouter(const RedisAddress& cluster, Nanoseconds timeout, const Log& log);

  struct Route {
    RedisHost host;
    std::string id;                   ///< the id that the node must have; empty: unknown
    bool is_for_one_request = false;  ///< the request must begin with ASKING
    bool should_ask_slots = false;    ///< send CLUSTER SLOTS and pass the reply to update_map()
  };
  /// Where to send a request about `slot`. After report_unreachable(), asks the other nodes first,
  /// and throws Error(store) if they name the same node again. `wait_limit`: see RedisConnection.
  [[nodiscard]] Route route(uint16_t slot, const WaitLimit& wait_limit);

  /// Whether `host` may have `slot`, as far as is known.
  [[nodiscard]] bool may_be_at(uint16_t slot, const RedisHost& host) const;

  /// Makes the next route() return the node that a redirection named.
  void redirect(const Redirection& to);
  /// Reports that `host` cannot be reached, or is cut off from the other nodes. `error`: the
  /// message of the Error that route() throws if they name `host` again; empty: it may be tried
  /// again.
  void report_unreachable(const RedisHost& host, const std::string& error);
  /// Discards the map, which was wrong about a node; the next route() asks for a new map.
  void discard_map();
  /// Replaces the map with the one in the reply of `asked` to CLUSTER SLOTS, and caches it. An
  /// error reply changes nothing. Throws UnexpectedReply.
  void update_map(const RedisReply& reply, const RedisHost& asked);

  /// Asks one node after the other which node has which slots now, until one replies. Throws
  /// Error(store) if none replies, and Error(interrupted).
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
  bool is_cached_ = true;  // the map was cached by an earlier process
  bool has_read_cache_ = false;
  bool should_ask_slots_ = false;  // of the node of the next route
  std::optional<Redirection> redirection_;
  std::optional<UnreachableHost> unreachable_;
};

}  // namespace memolock
