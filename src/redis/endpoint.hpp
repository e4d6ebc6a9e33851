// The server that requests go to, and the connection to it.
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

/// Finds the server at an address, connects to it when a request needs it, and verifies that it is
/// the right one. Used by one thread; nothing here is tried again (see RedisRetry).
///
/// - An address that names one server: it is connected to, and not verified.
/// - Sentinels: each connection begins with their answer and asks the server for its role.
/// - A cluster: there is one connection, to the node that has the key of the last route_to(). What
///   an earlier process has cached of the cluster is verified by the node's id.
///
/// All errors are Error(store) with the server's name, ServerError where it has answered with an
/// error; and Error(interrupted).
class RedisEndpoint {
 public:
  /// `timeout` and `wait_limit`: as of RedisConnection. Keeps a reference to `log`.
  RedisEndpoint(RedisAddress address, Nanoseconds timeout, const WaitLimit& wait_limit,
                const Log& log);

  RedisEndpoint(const RedisEndpoint&) = delete;
  RedisEndpoint& operator=(const RedisEndpoint&) = delete;

  [[nodiscard]] const RedisAddress& address() const { return address_; }
  [[nodiscard]] Nanoseconds timeout() const { return timeout_; }
  [[nodiscard]] const WaitLimit& wait_limit() const { return wait_limit_; }
  /// What ends requests from now on.
  void set_wait_limit(const WaitLimit& wait_limit);
  /// As of RedisReplyReader, for all connections to come.
  void limit_strings(uint64_t bytes) { max_string_bytes_ = bytes; }

  /// Whether it is one node of a cluster among others.
  [[nodiscard]] bool is_routed() const { return router_ != nullptr; }
  /// On a cluster: the next requests are about `key`. Drops a connection to another node.
  void route_to(std::string_view key);
  /// Of a cluster: the addresses of all nodes that have keys now.
  [[nodiscard]] std::vector<RedisAddress> primaries();
  /// The server did not answer a request, for the reason `error`. On a cluster the next connection
  /// asks the other nodes who has taken its place; elsewhere nothing changes. Returns whether it
  /// is a cluster.
  bool report_unreachable(const std::string& error);

  /// The connection; made if there is none.
  [[nodiscard]] RedisConnection& connection();
  [[nodiscard]] bool is_connected() const { return connection_.has_value(); }
  void disconnect();

  /// Has the server identify itself before it is asked to write something. Throws when it is not,
  /// or no longer, the right one. Requires a connection, as all that follows.
  void verify();
  /// As verify(), with a reply to ROLE that was part of the request.
  void verify_role(const RedisReply& role);
  /// Whether a request to a primary should ask for its role again: sentinels may have replaced it.
  [[nodiscard]] bool should_ask_role() const { return address_.has_sentinels() && may_ask_role_; }
  /// Switches the connection to RESP3, unless it speaks that.
  void switch_to_resp3();
  [[nodiscard]] bool speaks_resp3() const { return speaks_resp3_; }
  /// Whether the connection subscribes to channels; ends with it.
  [[nodiscard]] bool is_subscribed() const { return is_subscribed_; }
  void set_subscribed(bool is_subscribed) { is_subscribed_ = is_subscribed; }

  /// A request is about to be queued. A node to which one request was redirected with ASK serves it
  /// only behind ASKING.
  void begin_request();
  /// Whether the connection serves only one request, of one command or transaction.
  [[nodiscard]] bool is_for_one_request() const { return is_for_one_request_; }
  /// The request, begun at `begun` (boot clock), has been answered. The time that a large transfer
  /// took does not count against the wait limit of what follows.
  void end_request(Nanoseconds begun);

  /// The next reply to a command. Skips messages, and reads the handshake's replies. One that is an
  /// error is returned.
  [[nodiscard]] RedisReply next_reply();
  /// The next `count` of them. Throws the first error among them when the connection is lost: a
  /// client that must log in first, or that is one too many, gets an error and is then
  /// disconnected.
  [[nodiscard]] std::vector<RedisReply> next_replies(size_t count);

  /// "the store at HOST:PORT: WHAT".
  [[nodiscard]] std::string error_text(std::string_view what) const;
  /// Throws what the error reply `error` means, about the entry whose value is at `key` unless that
  /// is empty. Takes note of a redirection.
  [[noreturn]] void throw_error(std::string_view error, std::string_view key = {}) const;
  /// Throws Error(store) for it, about `subject` unless that is empty. Drops the connection if the
  /// reply may belong to another request.
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
  std::unique_ptr<RedisRouter> router_;  // of a cluster
  uint16_t slot_ = 0;
  bool may_ask_role_ = true;
  RedisHost host_;  // last connected to, if the address alone does not name it

  std::optional<RedisConnection> connection_;
  // What follows belongs to the connection.
  RedisHandshake handshake_;
  bool is_for_one_request_ = false;
  bool speaks_resp3_ = false;
  bool is_subscribed_ = false;
};

}  // namespace memolock
