// The commands that precede a request on a connection.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "src/redis/connection.hpp"
#include "src/redis/reply.hpp"

namespace memolock {

/// The handshake of one connection: commands that are sent before a request, in the same write, so
/// that they cost no round trip. Their replies come before the reply to the request, in the order
/// in which they were sent. Used by one thread; a new connection needs a new handshake.
///
/// This class records which replies are outstanding, and interprets them. It does not act on the
/// outcome; see RedisEndpoint.
class RedisHandshake {
 public:
  enum class Outcome {
    passed,
    role_denied,     ///< the user may not call ROLE, so it is not known whether this is a primary
    not_primary,     ///< the server is a replica or a sentinel
    wrong_node,      ///< another node of a cluster is now at this address
    slots_received,  ///< the reply to CLUSTER SLOTS, for RedisRouter::update_map()
    refused,         ///< the reply is an error
  };

  /// Each queues one command on `connection`.
  void ask_role(RedisConnection& connection);
  /// `expected_id`: the id that the node must have.
  void ask_node_id(RedisConnection& connection, std::string expected_id);
  void ask_slots(RedisConnection& connection);
  void switch_to_resp3(RedisConnection& connection);
  /// Queues ASKING, after a redirection with ASK: the node then serves the next command.
  void queue_asking(RedisConnection& connection);

  /// Whether no reply is outstanding.
  [[nodiscard]] bool is_complete() const { return pending_.empty(); }
  /// Whether a reply is outstanding that shows whether this is the right server.
  [[nodiscard]] bool is_verifying_server() const;

  /// Interprets `reply`, the reply to the first outstanding command. Throws UnexpectedReply if it
  /// has the wrong type. Requires !is_complete().
  [[nodiscard]] Outcome check(const RedisReply& reply);

  /// Interprets a reply to ROLE, which need not be part of the handshake. Throws UnexpectedReply.
  [[nodiscard]] static Outcome check_role(const RedisReply& reply);

 private:
  enum class Step { role, node_id, slots, resp3, asking };

  void send(RedisConnection& connection, Step step, std::initializer_list<RedisArgument> command);
  [[nodiscard]] Outcome check_node_id(const RedisReply& reply) const;

  std::vector<Step> pending_;
  std::string expected_id_;
};

}  // namespace memolock
