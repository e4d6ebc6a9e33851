// Which node of a Redis cluster has which keys.
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
  std::string id;  ///< by which the cluster knows it, wherever it is; empty: not known

  bool operator==(const RedisNode&) const = default;
};

class SlotMap {
 public:
  struct Range {
    uint16_t first = 0, last = 0;  // slots, both included
    RedisNode node;
    bool has_replica = false;
  };

  /// Of the answer to CLUSTER SLOTS that `asked` has given; empty when it is an error. Throws
  /// UnexpectedReply.
  [[nodiscard]] static SlotMap from(const RedisReply& answer, const RedisHost& asked);

  /// A line "FIRST LAST ID PORT HOST" for each range, and back: empty when a line is anything else.
  /// Replicas are not in it.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static SlotMap parse(std::string_view text);

  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  /// The node that has `slot`; null when none has.
  [[nodiscard]] const RedisNode* node_of(uint16_t slot) const;
  /// Each node once.
  [[nodiscard]] std::vector<RedisNode> nodes() const;
  /// Of those, the ones that nobody could replace.
  [[nodiscard]] std::vector<RedisHost> without_replica() const;
  /// How many slots no node has.
  [[nodiscard]] int missing() const;

 private:
  [[nodiscard]] bool is_free(const Range& range) const;

  std::vector<Range> ranges_;  // none of which overlap
};

/// Where a server's error says that a key is.
struct Redirection {
  enum class Kind {
    moved,  ///< for good
    ask,    ///< while it moves, for one request that begins with ASKING
  };
  Kind kind = Kind::moved;
  RedisHost host;
};

/// From "MOVED SLOT HOST:PORT" or "ASK SLOT HOST:PORT", said by `asked`; nothing for any other
/// error.
[[nodiscard]] std::optional<Redirection> redirection_in(std::string_view error,
                                                        const RedisHost& asked);

}  // namespace memolock
