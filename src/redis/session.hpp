// Requests to one Redis server, sentinel service or cluster.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/redis/connection.hpp"
#include "src/redis/endpoint.hpp"
#include "src/redis/names.hpp"
#include "src/redis/reply.hpp"
#include "src/redis/retry.hpp"
#include "src/redis/script.hpp"
#include "src/redis/server_clock.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

using RedisCommand = std::vector<RedisArgument>;

/// Sends requests and reads their replies, over one connection at a time. It connects when a
/// request requires it, and again after the connection was lost. Used by one thread.
///
/// A request may reach the server more than once, because its reply may have been lost. It is
/// retried in these cases:
///
/// - No connection can be made: for `retry_for`. If the server has closed the connection of an
///   earlier request meanwhile, there is always one more attempt.
/// - The server says that it is busy, or is no longer the primary: for `retry_for` or the timeout,
///   whichever is longer.
/// - On a cluster, redirections are followed. If a node does not reply, the other nodes are asked
///   which node has replaced it. Verifying the cached slots of an earlier process costs a round
///   trip only if the first request may write.
///
/// Every request throws Error(store) if it gets no reply, ServerError if the server refuses it,
/// OversizedReply, and Error(interrupted).
class RedisSession {
 public:
  /// `timeout` and `wait_limit`: see RedisConnection. The wait limit also ends the attempts. Keeps
  /// a reference to `log`.
  RedisSession(RedisAddress address, Nanoseconds timeout, const WaitLimit& wait_limit,
               const Log& log);

  /// The names of an entry's keys. On a cluster, directs the next requests to the node that has
  /// them. Throws Error(usage) if the id cannot be used there.
  [[nodiscard]] RedisNames route_to(const Key& key);

  /// On a cluster, which is required: the addresses of all nodes that have slots now.
  [[nodiscard]] std::vector<RedisAddress> primaries() { return endpoint_.primaries(); }

  /// See RedisReplyReader. Applies to all later connections. A longer reply throws OversizedReply,
  /// and the request is not retried.
  void limit_large_strings(uint64_t bytes) { endpoint_.limit_large_strings(bytes); }

  /// Replaces the wait limit.
  void set_wait_limit(const WaitLimit& wait_limit) { endpoint_.set_wait_limit(wait_limit); }
  [[nodiscard]] const WaitLimit& wait_limit() const { return endpoint_.wait_limit(); }

  /// The replies to `commands`, run in one transaction. A reply may be an error of its command.
  [[nodiscard]] RedisReplies transact(const std::vector<RedisCommand>& commands,
                                      Nanoseconds retry_for = Nanoseconds(0));

  /// The same for commands that only read, which even a server out of memory serves.
  [[nodiscard]] RedisReplies read(const std::vector<RedisCommand>& commands,
                                  Nanoseconds retry_for = Nanoseconds(0));

  /// The same, after subscribing to the two channels of an entry on the same connection, so that no
  /// later change is missed. If this user may not subscribe, the server is out of memory, or the
  /// slot is moving to another node, it only reads, and is_subscribed() is then false.
  [[nodiscard]] RedisReplies subscribe(const RedisNames& names,
                                       const std::vector<RedisCommand>& commands,
                                       Nanoseconds retry_for);
  /// Whether there is a connection. If a request has just thrown, true means that the server has
  /// replied to it with an error.
  [[nodiscard]] bool is_connected() const { return endpoint_.is_connected(); }
  [[nodiscard]] bool is_subscribed() const { return endpoint_.is_subscribed(); }

  /// Runs a script on the keys of an entry, and returns its reply. An error reply is thrown.
  [[nodiscard]] RedisReply run_script(const RedisScript& script, const RedisNames& names,
                                      const std::vector<RedisArgument>& arguments,
                                      Nanoseconds retry_for = Nanoseconds(0));

  /// The replies to `commands` in one round trip, not necessarily as a transaction. A reply may be
  /// the error WRONGTYPE, for a key of a foreign type; any other error reply is thrown.
  [[nodiscard]] RedisReplies pipeline(const std::vector<RedisCommand>& commands);

  /// The same, but no error reply is thrown.
  [[nodiscard]] RedisReplies try_pipeline(const std::vector<RedisCommand>& commands);

  /// How await_message() has ended.
  struct AwaitedMessage {
    WaitEnd end = WaitEnd::readable;
    /// If the channel is empty, no message arrived, but a message may have been lost: read the
    /// state again.
    RedisMessage message;
  };
  /// Sleeps until a message arrives, `deadline` passes (boot clock) or `interrupt` becomes
  /// readable. Without a subscription, no message arrives. Returns immediately if the connection is
  /// lost; the next request connects again.
  [[nodiscard]] AwaitedMessage await_message(Nanoseconds deadline, int interrupt);

  /// The server's clock; nanoseconds since the epoch. Asks the server if the clock has not been
  /// set.
  [[nodiscard]] Nanoseconds now();
  /// Sets the clock for now(); see ServerClock.
  Nanoseconds set_clock(const RedisReply& time) { return clock_.set(time); }
  Nanoseconds set_clock(const RedisReply& seconds, const RedisReply& microseconds) {
    return clock_.set(seconds, microseconds);
  }

  /// "the store at HOST:PORT: WHAT".
  [[nodiscard]] std::string error_text(std::string_view what) const {
    return endpoint_.error_text(what);
  }

  /// Calls `read`, which reads replies about the entry `key`, and returns its result. Turns an
  /// UnexpectedReply into Error(store) "the store at …: TAG:ID: …", and then closes the connection
  /// if the reply may belong to another request.
  template <typename Read>
  auto with_context(const Key& key, const Read& read) -> decltype(read()) {
    try {
      return read();
    } catch (const UnexpectedReply& reply) {
      endpoint_.throw_unexpected(reply, key.shown());
    }
  }
  /// The same for replies that are not about one entry.
  template <typename Read>
  auto with_context(const Read& read) -> decltype(read()) {
    try {
      return read();
    } catch (const UnexpectedReply& reply) {
      endpoint_.throw_unexpected(reply, "");
    }
  }

 private:
  template <typename Request>
  auto with_retry(Nanoseconds retry_for, const Request& request);
  [[nodiscard]] RedisRetry::Decision next_attempt(RedisRetry& retry, const Error& error,
                                                  bool was_connected);

  void begin_request(RedisConnection& connection);
  void read_unsubscribed();
  [[nodiscard]] RedisReplies send_pipeline(RedisConnection& connection,
                                           const std::vector<RedisCommand>& commands);
  [[nodiscard]] RedisReplies send_transaction(RedisConnection& connection,
                                              const std::vector<RedisCommand>& commands);
  [[nodiscard]] RedisReplies send_read_script(RedisConnection& connection,
                                              const std::vector<RedisCommand>& commands);
  [[nodiscard]] RedisReplies subscribe_in_transaction(RedisConnection& connection,
                                                      const RedisNames& names,
                                                      const std::vector<RedisCommand>& commands);
  [[nodiscard]] RedisReplies subscribe_in_shard(RedisConnection& connection,
                                                const RedisNames& names,
                                                const std::vector<RedisCommand>& commands);
  [[nodiscard]] RedisReplies transaction_replies(std::vector<RedisReply> replies,
                                                 size_t count) const;

  RedisEndpoint endpoint_;
  const Log& log_;
  ServerClock clock_;
  bool may_subscribe_ = true;
  bool supports_sharded_channels_ = true;
};

/// The names of an entry's keys at `address`. Throws Error(usage) if the id cannot be used there.
[[nodiscard]] RedisNames names_at(const RedisAddress& address, const Key& key);

}  // namespace memolock
