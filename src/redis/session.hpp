// Requests to one Redis server, over a connection that is made when it is needed and made anew when
// it was lost.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/redis/connection.hpp"
#include "src/redis/names.hpp"
#include "src/redis/router.hpp"
#include "src/redis/script.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

using RedisCommand = std::vector<RedisArgument>;

/// Where a request takes `retry_for`: so long it is tried again when no connection can be made. One
/// that was made for an earlier request may have been closed meanwhile: it is made anew once in any
/// case. A server that says it is busy (loading, failing over) has the session's timeout, if that
/// is longer.
///
/// Of an address that sentinels know, each connection begins with their answer, and each connection
/// and subscription with a look whether the server still is a master: one that is not counts as
/// busy.
///
/// Of a cluster's, it is connected to the node of one entry at a time. Nodes that say that the
/// entry is elsewhere are believed; one that is gone is looked for among the others. What an
/// earlier process has remembered of the cluster costs no round trip to verify, unless the first
/// request is one that may write.
class RedisSession {
 public:
  /// `timeout` and `cutoff`: as of RedisConnection; with the cutoff the last attempt ends. Keeps a
  /// reference to `log`.
  RedisSession(RedisAddress address, Nanoseconds timeout, const Cutoff& cutoff, const Log& log);

  RedisSession(const RedisSession&) = delete;
  RedisSession& operator=(const RedisSession&) = delete;

  /// The names of an entry's keys. On a cluster the next requests are about it: they go to its
  /// node. Throws Error(usage) when the id cannot be used there.
  [[nodiscard]] RedisNames names(const Key& key);

  /// Of a cluster: the addresses of all nodes that have keys now. Throws Error(store).
  [[nodiscard]] std::vector<RedisAddress> primaries();

  /// As of RedisReplyReader, for all requests to come: one with more for an answer throws
  /// OversizedReply, and is not tried again.
  void limit_strings(uint64_t bytes) { largest_strings_ = bytes; }

  /// What ends requests from now on.
  void set_cutoff(const Cutoff& cutoff);
  [[nodiscard]] const Cutoff& cutoff() const { return cutoff_; }

  /// The answers to `commands`, run at one instant. An answer may be an error of its command's.
  /// Throws Error(store).
  [[nodiscard]] RedisAnswers transact(const std::vector<RedisCommand>& commands,
                                      Nanoseconds retry_for = Nanoseconds(0));

  /// The same of commands that only read, which a server can answer though it is out of memory.
  [[nodiscard]] RedisAnswers read(const std::vector<RedisCommand>& commands,
                                  Nanoseconds retry_for = Nanoseconds(0));

  /// The same while it subscribes to the two channels of an entry. Where the server refuses that
  /// to this user, or has no memory for it, without: then is_subscribed() is false.
  [[nodiscard]] RedisAnswers subscribe(const RedisNames& names,
                                       const std::vector<RedisCommand>& commands,
                                       Nanoseconds retry_for);
  /// Whether the last request was answered, be it with an error.
  [[nodiscard]] bool is_connected() const { return connection_.has_value(); }
  [[nodiscard]] bool is_subscribed() const { return subscribed_; }

  /// The answer to a script on the keys of an entry. Throws Error(store), also for its error.
  [[nodiscard]] RedisReply run_script(const RedisScript& script, const RedisNames& names,
                                      const std::vector<RedisArgument>& arguments,
                                      Nanoseconds retry_for = Nanoseconds(0));

  /// The answers to commands that need not be at one instant, in one round trip. An answer may be
  /// an error of its command's: a key of a foreign type. Throws Error(store) for any other.
  [[nodiscard]] RedisAnswers pipeline(const std::vector<RedisCommand>& commands);

  /// The same, any answer an error as it may be.
  [[nodiscard]] RedisAnswers ask(const std::vector<RedisCommand>& commands);

  struct Message {
    std::string channel, payload;
  };
  /// Sleeps until a message comes, `deadline` passes (boot clock) or `interrupt` becomes readable;
  /// at once when a connection is lost: the next request makes it anew. An empty channel: no
  /// message, but look again.
  struct Awaited {
    Ready ready = Ready::readable;
    Message message;
  };
  [[nodiscard]] Awaited await_message(Nanoseconds deadline, int interrupt);

  /// The server's clock. Asks it the first time.
  [[nodiscard]] Nanoseconds now();
  /// Takes over the answer to TIME, or the two that are in it. Returns the time.
  Nanoseconds set_clock(const RedisReply& time);
  Nanoseconds set_clock(const RedisReply& seconds, const RedisReply& microseconds);

  /// An error in words, with the server's name before it.
  [[nodiscard]] std::string error_text_of(std::string_view what) const;

  /// What `read` returns, which reads what the server has answered about an entry. UnexpectedReply
  /// becomes Error(store) "the store at …: TAG:ID: …". After a misfit the connection is dropped.
  template <typename Read>
  auto with_context(const Key& key, const Read& read) -> decltype(read()) {
    try {
      return read();
    } catch (const UnexpectedReply& reply) {
      fail(reply, key.shown());
    }
  }
  /// The same about nothing in particular.
  template <typename Read>
  auto with_context(const Read& read) -> decltype(read()) {
    try {
      return read();
    } catch (const UnexpectedReply& reply) {
      fail(reply, "");
    }
  }

 private:
  /// What is sent before a request and answered before it.
  enum class Handshake { role, id, slots, resp3, asking };

  template <typename Request>
  auto with_retry(Nanoseconds retry_for, const Request& request);
  RedisConnection& connection();
  void connect_to_master();
  void connect_to_node();
  void queue_handshake(Handshake handshake, std::initializer_list<RedisArgument> command);
  void take_handshake(const RedisReply& reply);
  void check_role(const RedisReply& role);
  void check_id(const RedisReply& id);
  void settle_handshakes(RedisConnection& connection);
  void route_to(const RedisNames& names);
  void disconnect();
  void leave_channels(RedisConnection& connection);
  void skip_leaving(RedisConnection& connection);
  RedisReply next_answer(RedisConnection& connection);
  std::vector<RedisReply> next_answers(RedisConnection& connection, size_t count);
  RedisAnswers send_all(RedisConnection& connection, const std::vector<RedisCommand>& commands);
  RedisAnswers exchange(RedisConnection& connection, const std::vector<RedisCommand>& commands);
  RedisAnswers exchange_by_script(RedisConnection& connection,
                                  const std::vector<RedisCommand>& commands);
  /// Throws what the server said, about the entry whose value is in `key` if there is one.
  [[noreturn]] void fail(std::string_view error, std::string_view key = {}) const;
  [[noreturn]] void fail(const UnexpectedReply& reply, const std::string& with_context);
  RedisAnswers results(std::vector<RedisReply> replies, size_t count) const;
  RedisAnswers exchange_in_shard(const RedisNames& names,
                                 const std::vector<RedisCommand>& commands);

  RedisAddress address_;
  Nanoseconds timeout_;
  Cutoff cutoff_;
  const Log& log_;
  std::optional<uint64_t> largest_strings_;
  std::unique_ptr<RedisRouter> router_;  // of a cluster
  uint16_t slot_ = 0;
  RedisHost host_;  // the server last connected to, of those that are not the address's own
  std::string expected_id_;  // how it must call itself
  std::optional<RedisConnection> connection_;
  std::vector<Handshake> handshakes_;  // those whose answers are to come
  bool is_detour_ = false;             // the connection is for one request
  bool speaks_resp3_ = false;
  bool may_ask_role_ = true;
  bool subscribed_ = false;
  bool may_subscribe_ = true;
  bool may_subscribe_in_shard_ = true;
  std::optional<Nanoseconds> clock_offset_;  // server's clock less the boot clock
};

/// The names of an entry's keys at `address`. Throws Error(usage) when the id cannot be used there.
[[nodiscard]] RedisNames names_at(const RedisAddress& address, const Key& key);

}  // namespace memolock
