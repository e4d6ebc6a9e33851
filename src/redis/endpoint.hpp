// The server to which requests are sent, and the connection to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/redis/address.hpp"
#include "src/redis/connection.hpp"
#include "src/redis/handshake.hpp"
#include "src/redis/reply.hpp"
#include "src/redis/router.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// Finds the server at an address, connects to it when a request requires a connection, and
/// verifies that it is the right server. Used by one thread. This class does not retry (see
/// RedisRetry).
///
/// - If the address names one server, that server is used without verification.
/// - With sentinels, a sentinel is asked for the primary before each connection, and the server is
///   asked for its role.
/// - On a cluster there is one connection at a time, to the node that has the key of the last
///   route_to(). A node from the slot cache of an earlier process is verified by its id.
///
/// Throws Error(store) with the server's name (ServerError if it has replied with an error), and
/// Error(interrupted).
class RedisEndpoint {
 public:
  /// `timeout` and `wait_limit`: see RedisConnection. Keeps a reference to `log`.
  RedisEndpoint(RedisAddress address, Nanoseconds timeout, const WaitLimit& wait_limit,
                const Log& log);

  RedisEndpoint(const RedisEndpoint&) = delete;
  RedisEndpoint& operator=(const RedisEndpoint&) = delete;

  [[nodiscard]] const RedisAddress& address() const { return address_; }
  [[nodiscard]] Nanoseconds timeout() const { return timeout_; }
  [[nodiscard]] const WaitLimit& wait_limit() const { return wait_limit_; }
  /// Replaces the wait limit.
  void set_wait_limit(const WaitLimit& wait_limit);
  /// See RedisReplyReader. Applies to all later connections.
  void limit_large_strings(uint64_t bytes) { max_string_bytes_ = bytes; }

  /// Whether requests are routed to the nodes of a cluster.
  [[nodiscard]] bool is_routed() const { return router_ != nullptr; }
  /// On a cluster, directs the next requests to the node that has `key`, and drops a connection to
  /// another node. Otherwise does nothing.
  void route_to(std::string_view key);
  /// The addresses of all nodes that have slots now, as the cluster says when asked. Requires
  /// is_routed().
  [[nodiscard]] std::vector<RedisAddress> primaries();
  /// Reports that the server did not reply to a request, for the reason `error`. On a cluster, the
  /// other nodes are asked before the next connection which node has replaced it; otherwise nothing
  /// changes.
  void report_unreachable(const std::string& error);

  /// The connection, which is created if there is none.
  [[nodiscard]] RedisConnection& connection();
  [[nodiscard]] bool is_connected() const { return connection_.has_value(); }
  void disconnect();

  /// Reads the replies that show whether this is the right server. To be called before a request
  /// that may write. Throws ServerError if it is not, or is no longer, the right server. Requires a
  /// connection, as do all functions below that queue commands or read replies.
  void verify();
  /// The same with a reply to ROLE that was part of the request.
  void verify_role(const RedisReply& role);
  /// Whether a request should ask for the role again, because the sentinels may have promoted
  /// another server.
  [[nodiscard]] bool should_ask_role() const { return address_.has_sentinels() && may_ask_role_; }
  /// Queues the command that switches to RESP3, unless the connection already uses it.
  void switch_to_resp3();
  [[nodiscard]] bool speaks_resp3() const { return speaks_resp3_; }
  /// Whether the connection is subscribed to channels. Disconnecting ends the subscription.
  [[nodiscard]] bool is_subscribed() const { return is_subscribed_; }
  void set_subscribed(bool is_subscribed) { is_subscribed_ = is_subscribed; }

  /// To be called before a request is queued. If the request was redirected to this node with ASK,
  /// queues ASKING, because the node serves the request only after that.
  void begin_request();
  /// Whether the connection serves only one request, a single command or transaction, because of a
  /// redirection with ASK.
  [[nodiscard]] bool is_for_one_request() const { return is_for_one_request_; }
  /// To be called when the request, begun at `begun` (boot clock), has been answered. Extends the
  /// wait limit of later requests by the time that a large transfer took. Disconnects if
  /// is_for_one_request().
  void end_request(Nanoseconds begun);

  /// The next reply to a command. Skips messages, and checks the replies of the handshake. An error
  /// reply is returned, not thrown.
  [[nodiscard]] RedisReply next_reply();
  /// The next `count` replies to commands. If the connection is lost before all of them have
  /// arrived, throws the first error among them: a client that must log in, or that exceeds
  /// maxclients, gets an error and is then disconnected.
  [[nodiscard]] std::vector<RedisReply> next_replies(size_t count);

  /// "the store at HOST:PORT: WHAT".
  [[nodiscard]] std::string error_text(std::string_view what) const;
  /// Throws the ServerError for the error reply `error`. The message names `key`, the name of a
  /// value, unless that is empty. Notifies the router if the error is a redirection or means that
  /// the node is cut off.
  [[noreturn]] void throw_error(std::string_view error, std::string_view key = {}) const;
  /// Throws Error(store) for `reply`. The message names `subject`, unless that is empty. Drops the
  /// connection if the reply may belong to another request.
  [[noreturn]] void throw_unexpected(const UnexpectedReply& reply, const std::string& subject);

 private:
  void connect_to_primary();
  void connect_to_node();
  void check_handshake(const RedisReply& reply);
  void act_on(RedisHandshake::Outcome outcome, const RedisReply& reply);

  RedisAddress address_;
  Nanoseconds timeout_;
  WaitLimit wait_limit_;
  const Log& log_;
  std::optional<uint64_t> max_string_bytes_;
  std::unique_ptr<RedisRouter> router_;  // null: not a cluster
  uint16_t slot_ = 0;
  bool may_ask_role_ = true;
  RedisHost host_;  // the server last connected to, if the address does not name it

  std::optional<RedisConnection> connection_;
  // The state of the connection:
  RedisHandshake handshake_;
  bool is_for_one_request_ = false;
  bool speaks_resp3_ = false;
  bool is_subscribed_ = false;
};

}  // namespace memolock
