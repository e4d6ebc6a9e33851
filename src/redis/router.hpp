// Which node of a cluster a request goes to: what is known of the slots, and who is asked for more.
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

/// Knows at first what an earlier process has remembered, which may be out of date, or nothing:
/// then the first node of the URL is as good as any. A node that has not the slot says who has.
class RedisRouter {
 public:
  /// `timeout` bounds a question to all nodes. Keeps references to cluster and log.
  RedisRouter(const RedisAddress& cluster, Nanoseconds timeout, const Log& log);

  struct Route {
    RedisHost host;
    std::string id;            ///< whom the node must call itself; empty: not known
    bool is_for_one_request = false;    ///< for one request, which must begin with ASKING
    bool wants_slots = false;  ///< the answer to CLUSTER SLOTS is to be given to learn()
  };
  /// Where to send a request about `slot`. After a suspicion it asks the other nodes first; throws
  /// Error(store) when they name the suspect again. `cutoff` as of RedisConnection.
  [[nodiscard]] Route route(uint16_t slot, const Cutoff& cutoff);

  /// Whether a request about `slot` may go to `host`, as far as is known.
  [[nodiscard]] bool may_be_at(uint16_t slot, const RedisHost& host) const;

  /// The next route, told by a node.
  void redirect(const Redirection& to);
  /// `host` cannot be reached, or is cut off from the rest; `why`: the error when it is named
  /// again, empty: none, it is to be tried again.
  void suspect(const RedisHost& host, const std::string& why);
  /// Nothing of what is known is right.
  void forget();
  /// From the answer to CLUSTER SLOTS of `asked`. Throws UnexpectedReply.
  void learn(const RedisReply& answer, const RedisHost& asked);

  /// Asks what the slots are now. Throws Error(store).
  const SlotMap& ask_for_slots(const Cutoff& cutoff);

 private:
  struct Suspicion {
    RedisHost host;
    std::string why;
  };
  [[nodiscard]] std::vector<RedisHost> others(const RedisHost& than) const;
  void ask_one_of(const std::vector<RedisHost>& hosts, const Cutoff& cutoff,
                  const std::function<bool()>& is_enough);
  void look_elsewhere(uint16_t slot, const Cutoff& cutoff);

  const RedisAddress& cluster_;
  Nanoseconds timeout_;
  const Log& log_;
  SlotMap map_;
  bool is_remembered_ = true;  // the map is of an earlier process
  bool has_recalled_ = false;
  bool wants_slots_ = false;  // from the node of the next route
  std::optional<Redirection> redirection_;
  std::optional<Suspicion> suspicion_;
};

}  // namespace memolock
