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

/// Sends requests and reads their replies, over one connection at a time, which is made when a
/// request needs it and again after it was lost. Used by one thread.
///
/// A request may reach the server more than once, since a reply may have been lost. Which attempts
/// there are:
///
/// - `retry_for`: where no connection can be made, for so long. A connection of an earlier request
///   that the server has closed meanwhile is made again once in any case.
/// - A server that says that it is busy, or that is no longer the primary: for `retry_for` or the
///   timeout, whichever is longer.
/// - A cluster: redirections are followed. When a node does not answer, the others are asked who
///   has replaced it. What an earlier process has cached of the cluster costs no round trip to
///   verify, unless the first request may write.
///
/// Every request throws Error(store) when it gets no reply, ServerError when the server refuses it,
/// OversizedReply, and Error(interrupted).
class RedisSession {
 public:
  /// `timeout` and `wait_limit`: as of RedisConnection; the wait limit ends the last attempt, too.
  /// Keeps a reference to `log`.
  RedisSession(RedisAddress address, Nanoseconds timeout, const WaitLimit& wait_limit,
               const Log& log);

  /// The names of an entry's keys. On a cluster, the next requests go to the node that has them.
  /// Throws Error(usage) when the id cannot be used there.
  [[nodiscard]] RedisNames route_to(const Key& key);

  /// Of a cluster: the addresses of all nodes that have keys now.
  [[nodiscard]] std::vector<RedisAddress> primaries() { return endpoint_.primaries(); }

  /// As of RedisReplyReader, for all requests to come: a longer reply throws OversizedReply, and
  /// the request is not tried again.
  void limit_strings(uint64_t bytes) { endpoint_.limit_strings(bytes); }

  /// What ends requests from now on.
  void set_wait_limit(const WaitLimit& wait_limit) { endpoint_.set_wait_limit(wait_limit); }
  [[nodiscard]] const WaitLimit& wait_limit() const { return endpoint_.wait_limit(); }

  /// The replies to `commands`, run in one transaction. A reply may be an error of its command.
  [[nodiscard]] RedisReplies transact(const std::vector<RedisCommand>& commands,
                                      Nanoseconds retry_for = Nanoseconds(0));

  /// The same for commands that only read: a server out of memory serves them, too.
  [[nodiscard]] RedisReplies read(const std::vector<RedisCommand>& commands,
                                  Nanoseconds retry_for = Nanoseconds(0));

  /// The same, and subscribes to the two channels of an entry in the same transaction. Where this
  /// user may not subscribe, or the server has no memory for it, it only reads: is_subscribed() is
  /// false then.
  [[nodiscard]] RedisReplies subscribe(const RedisNames& names,
                                       const std::vector<RedisCommand>& commands,
                                       Nanoseconds retry_for);
  /// Whether the last request was answered, if only with an error.
  [[nodiscard]] bool is_connected() const { return endpoint_.is_connected(); }
  [[nodiscard]] bool is_subscribed() const { return endpoint_.is_subscribed(); }

  /// The reply to a script that is run on the keys of an entry; its error is thrown.
  [[nodiscard]] RedisReply run_script(const RedisScript& script, const RedisNames& names,
                                      const std::vector<RedisArgument>& arguments,
                                      Nanoseconds retry_for = Nanoseconds(0));

  /// The replies to commands in one round trip, without a transaction. A reply may be WRONGTYPE, of
  /// a key of a foreign type; any other error is thrown.
  [[nodiscard]] RedisReplies pipeline(const std::vector<RedisCommand>& commands);

  /// The same, but no error of a command is thrown.
  [[nodiscard]] RedisReplies try_pipeline(const std::vector<RedisCommand>& commands);

  /// What await_message() has found.
  struct AwaitedMessage {
    WaitEnd ready = WaitEnd::readable;
    /// An empty channel: no message, but one may have been lost; read the state again.
    RedisMessage message;
  };
  /// Sleeps until a message arrives, `deadline` passes (boot clock) or `interrupt` becomes
  /// readable. Returns at once when the connection is lost; the next request makes it again.
  [[nodiscard]] AwaitedMessage await_message(Nanoseconds deadline, int interrupt);

  /// The server's clock; nanoseconds since the epoch. Asks the server the first time.
  [[nodiscard]] Nanoseconds now();
  /// As of ServerClock: what now() goes by.
  Nanoseconds set_clock(const RedisReply& time) { return clock_.set(time); }
  Nanoseconds set_clock(const RedisReply& seconds, const RedisReply& microseconds) {
    return clock_.set(seconds, microseconds);
  }

  /// "the store at HOST:PORT: WHAT".
  [[nodiscard]] std::string error_text(std::string_view what) const {
    return endpoint_.error_text(what);
  }

  /// What `read` returns, which reads replies about an entry. UnexpectedReply becomes Error(store)
  /// "the store at …: TAG:ID: …". Drops the connection when a reply may belong to another request.
  template <typename Read>
  auto with_context(const Key& key, const Read& read) -> decltype(read()) {
    try {
      return read();
    } catch (const UnexpectedReply& reply) {
      endpoint_.throw_unexpected(reply, key.shown());
    }
  }
  /// The same for replies about no entry in particular.
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

/// The names of an entry's keys at `address`. Throws Error(usage) when the id cannot be used there.
[[nodiscard]] RedisNames names_at(const RedisAddress& address, const Key& key);

}  // namespace memolock
