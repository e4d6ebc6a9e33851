// The slots of a Redis cluster: which node has which keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/redis/address.hpp"
#include "src/redis/reply.hpp"

namespace memolock {

inline constexpr int slot_count = 16384;

/// The slot of a key, from 0 to 16383.
[[nodiscard]] uint16_t slot_of(std::string_view key);

/// A node that holds slots.
struct RedisNode {
  RedisHost host;
  std::string id;  ///< assigned by the cluster, and independent of the address; empty: unknown

  bool operator==(const RedisNode&) const = default;
};

/// Which node has each slot. No two ranges overlap: if a source names two nodes for a slot, the
/// first one is used.
class SlotMap {
 public:
  struct Range {
    uint16_t first = 0, last = 0;  // slots, both included
    RedisNode node;
    bool has_replica = false;
  };

  /// The map in the reply of `asked` to CLUSTER SLOTS; empty if the reply is an error. Throws
  /// UnexpectedReply.
  [[nodiscard]] static SlotMap parse_reply(const RedisReply& reply, const RedisHost& asked);

  /// The map as text: a line "FIRST LAST ID PORT HOST" for each range, without replicas.
  [[nodiscard]] std::string text() const;
  /// The map in such a text; empty if a line is malformed.
  [[nodiscard]] static SlotMap parse(std::string_view text);

  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  /// The node that has `slot`; null if no node has it.
  [[nodiscard]] const RedisNode* node_of(uint16_t slot) const;
  /// The nodes that have slots, each once.
  [[nodiscard]] std::vector<RedisNode> nodes() const;
  /// The nodes that have no replica to take over their slots.
  [[nodiscard]] std::vector<RedisHost> hosts_without_replica() const;
  /// How many slots have no node.
  [[nodiscard]] int missing_slots() const;

 private:
  [[nodiscard]] bool is_unassigned(const Range& range) const;

  std::vector<Range> ranges_;
};

/// The location of a key according to a node.
struct Redirection {
  enum class Kind {
    moved,  ///< from now on
    ask,    ///< while its slot moves: for one request, which must begin with ASKING
  };
  Kind kind = Kind::moved;
  RedisHost host;
};

/// The redirection in an error "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT" of `asked`; nothing
/// for any other error.
[[nodiscard]] std::optional<Redirection> parse_redirection(std::string_view error,
                                                           const RedisHost& asked);

}  // namespace memolock
