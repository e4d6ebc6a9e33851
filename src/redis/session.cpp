#include "src/redis/session.hpp"

#include <utility>

#include <fmt/format.h>

#include "src/redis/server_error.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

void queue_transaction(RedisConnection& connection, const std::vector<RedisCommand>& commands) {
  connection.queue({"MULTI"});
  for (const RedisCommand& command : commands) connection.queue(command);
  connection.queue({"EXEC"});
}

/// Requires a status, the reply of a command that has nothing to return.
void require_status(const RedisReply& reply) {
  if (reply.type() != RedisReply::Type::status) reply.throw_unexpected();
}

}  // namespace

RedisSession::RedisSession(RedisAddress address, Nanoseconds timeout, const WaitLimit& wait_limit,
                           const Log& log)
    : endpoint_(std::move(address), timeout, wait_limit, log), log_(log) {}

RedisNames names_at(const RedisAddress& address, const Key& key) {
  if (!address.is_cluster()) return {key, BracedId::no};
  if (const auto fault = check_id_in_cluster(key.id)) throw usage_error("--id: " + *fault);
  return {key, BracedId::yes};
}

RedisNames RedisSession::route_to(const Key& key) {
  RedisNames names = names_at(endpoint_.address(), key);
  endpoint_.route_to(names.value);
  return names;
}

// ---- attempts ----

template <typename Request>
auto RedisSession::with_retry(Nanoseconds retry_for, const Request& request) {
  RedisRetry retry(endpoint_.timeout(), retry_for, endpoint_.wait_limit());
  for (;;) {
    const bool was_connected = endpoint_.is_connected();
    try {
      auto reply = with_context([&] { return request(endpoint_.connection()); });
      endpoint_.end_request(retry.begun());
      return reply;
    } catch (const OversizedReply&) {
      endpoint_.disconnect();  // the rest of the reply would still arrive
      throw;
    } catch (const Error& error) {
      const auto next = next_attempt(retry, error, was_connected);
      if (next == RedisRetry::Decision::give_up) throw;
      if (next == RedisRetry::Decision::at_once) continue;
      log_.debug("{}; trying again", error.what());
    }
    retry.pause();
  }
}

/// Decides what to do after an attempt that has thrown `error`. Closes the connection unless it can
/// be used for other requests.
RedisRetry::Decision RedisSession::next_attempt(RedisRetry& retry, const Error& error,
                                                bool was_connected) {
  const auto* const answer = dynamic_cast<const ServerError*>(&error);
  if (answer != nullptr && !answer->may_be_retried()) {
    if (answer->reason() == ServerError::Reason::login_refused) endpoint_.disconnect();
    return RedisRetry::Decision::give_up;
  }
  // A busy server may have become a replica, and its name may now refer to another server.
  endpoint_.disconnect();
  if (error.kind() != Error::Kind::store) return RedisRetry::Decision::give_up;
  if (answer != nullptr)
    return answer->reason() == ServerError::Reason::busy ? retry.after_busy()
                                                         : retry.after_redirection();
  // The server may have closed an idle connection. A silent server is not asked twice.
  if (was_connected && retry.is_within_timeout()) return RedisRetry::Decision::at_once;
  endpoint_.report_unreachable(error.what());
  return endpoint_.is_routed() ? retry.after_lost_node() : retry.after_lost_connection();
}

// ---- requests ----

/// Queues the commands that must precede a request. With RESP3, no UNSUBSCRIBE is needed, because
/// messages differ from replies.
void RedisSession::begin_request(RedisConnection& connection) {
  if (endpoint_.is_subscribed() && !endpoint_.speaks_resp3()) connection.queue({"UNSUBSCRIBE"});
  endpoint_.begin_request();
}

/// Reads the replies to UNSUBSCRIBE, one for each channel.
void RedisSession::read_unsubscribed() {
  const bool was_subscribed = endpoint_.is_subscribed();
  endpoint_.set_subscribed(false);
  if (!was_subscribed || endpoint_.speaks_resp3()) return;
  for (int channel = 0; channel < 2; ++channel) {
    const RedisReply reply = endpoint_.next_reply();
    if (reply.is_error()) {
      endpoint_.disconnect();  // the replies to the request are still outstanding
      endpoint_.throw_error(*reply.error());
    }
    (void)reply.array<3>();
  }
}

RedisReplies RedisSession::send_pipeline(RedisConnection& connection,
                                         const std::vector<RedisCommand>& commands) {
  // Each command would need an ASKING of its own.
  if (endpoint_.is_for_one_request()) return send_transaction(connection, commands);
  begin_request(connection);
  for (const RedisCommand& command : commands) connection.queue(command);
  read_unsubscribed();
  return RedisReplies(endpoint_.next_replies(commands.size()));
}

RedisReplies RedisSession::send_transaction(RedisConnection& connection,
                                            const std::vector<RedisCommand>& commands) {
  begin_request(connection);
  queue_transaction(connection, commands);
  read_unsubscribed();
  // The reply to MULTI, one for each command that was queued, and the reply to EXEC.
  return transaction_replies(endpoint_.next_replies(commands.size() + 2), commands.size());
}

/// The replies to the `count` commands of a transaction, which the last of `replies` contains.
RedisReplies RedisSession::transaction_replies(std::vector<RedisReply> replies,
                                               size_t count) const {
  if (const std::string* const error = first_error(replies)) endpoint_.throw_error(*error);
  RedisReply last = std::move(replies.back());
  replies.pop_back();
  for (const RedisReply& reply : replies) require_status(reply);
  return RedisReplies(last.take_elements(count));
}

/// Sends the commands in a script, which a server out of memory runs as long as it only reads.
RedisReplies RedisSession::send_read_script(RedisConnection& connection,
                                            const std::vector<RedisCommand>& commands) {
  RedisCommand script{"EVAL", read_script, "0"};
  std::vector<std::string> counts;
  counts.reserve(commands.size());
  for (const RedisCommand& command : commands) {
    script.emplace_back(counts.emplace_back(std::to_string(command.size())));
    script.insert(script.end(), command.begin(), command.end());
  }
  begin_request(connection);
  connection.queue(script);
  read_unsubscribed();
  RedisReply reply = endpoint_.next_reply();
  if (reply.is_error()) endpoint_.throw_error(*reply.error());
  return RedisReplies(reply.take_elements(commands.size()));
}

RedisReplies RedisSession::transact(const std::vector<RedisCommand>& commands,
                                    Nanoseconds retry_for) {
  return with_retry(retry_for, [&](RedisConnection& connection) {
    endpoint_.verify();
    return send_transaction(connection, commands);
  });
}

RedisReplies RedisSession::read(const std::vector<RedisCommand>& commands, Nanoseconds retry_for) {
  return with_retry(retry_for, [&](RedisConnection& connection) {
    try {
      return send_transaction(connection, commands);
    } catch (const Error& error) {
      // If there is no connection, the handshake failed, not the transaction.
      if (!is_out_of_memory(error) || !endpoint_.is_connected()) throw;
      return send_read_script(connection, commands);
    }
  });
}

RedisReply RedisSession::run_script(const RedisScript& script, const RedisNames& names,
                                    const std::vector<RedisArgument>& arguments,
                                    Nanoseconds retry_for) {
  endpoint_.route_to(names.value);
  std::string text = endpoint_.is_routed() ? wake_in_shard : wake_all;
  for (const char* const part : script.parts) text += part;
  RedisCommand command{"EVAL",       text,
                       "8",          names.value,
                       names.lock,   names.meta,
                       names.files,  names.run_state,
                       names.upload, names.files_upload,
                       names.mark};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return with_retry(retry_for, [&](RedisConnection& connection) {
    endpoint_.verify();
    begin_request(connection);
    connection.queue(command);
    read_unsubscribed();
    RedisReply reply = endpoint_.next_reply();
    if (reply.is_error()) endpoint_.throw_error(*reply.error(), names.value);
    return reply;
  });
}

RedisReplies RedisSession::try_pipeline(const std::vector<RedisCommand>& commands) {
  return with_retry(Nanoseconds(0), [&](RedisConnection& connection) {
    return send_pipeline(connection, commands);
  });
}

RedisReplies RedisSession::pipeline(const std::vector<RedisCommand>& commands) {
  return with_retry(Nanoseconds(0), [&](RedisConnection& connection) {
    RedisReplies replies = send_pipeline(connection, commands);
    replies.each_error([&](const std::string& error) {
      if (!has_error_code(error, "WRONGTYPE")) endpoint_.throw_error(error);
    });
    return replies;
  });
}

// ---- subscriptions ----

RedisReplies RedisSession::subscribe(const RedisNames& names,
                                     const std::vector<RedisCommand>& commands,
                                     Nanoseconds retry_for) {
  endpoint_.route_to(names.value);
  if (!may_subscribe_) return read(commands, retry_for);
  try {
    return with_retry(retry_for, [&](RedisConnection& connection) {
      return endpoint_.is_routed() ? subscribe_in_shard(connection, names, commands)
                                   : subscribe_in_transaction(connection, names, commands);
    });
  } catch (const Error& error) {
    if (is_out_of_memory(error)) {
      log_.debug("{}; reading without a subscription", error.what());
    } else if (prevents_subscribing(error.what())) {
      log_.info("{}; checking once per lease instead", error.what());
      may_subscribe_ = false;
    } else {
      throw;
    }
  }
  return read(commands, retry_for);
}

RedisReplies RedisSession::subscribe_in_transaction(RedisConnection& connection,
                                                    const RedisNames& names,
                                                    const std::vector<RedisCommand>& commands) {
  std::vector<RedisCommand> all{{"SUBSCRIBE", names.value_channel},
                                {"SUBSCRIBE", names.state_channel}};
  // A primary that has become a replica during the wait still replies, so its role is requested
  // too.
  const bool asks_role = endpoint_.should_ask_role();
  if (asks_role) all.insert(all.begin(), {"ROLE"});
  all.insert(all.end(), commands.begin(), commands.end());
  RedisReplies replies = send_transaction(connection, all);
  if (asks_role) endpoint_.verify_role(replies.next());
  for (int channel = 0; channel < 2; ++channel) (void)replies.next().array<3>();
  endpoint_.set_subscribed(true);
  return replies;
}

/// A transaction may not contain SSUBSCRIBE, and with RESP2 no other request may follow one: hence
/// RESP3.
RedisReplies RedisSession::subscribe_in_shard(RedisConnection& connection, const RedisNames& names,
                                              const std::vector<RedisCommand>& commands) {
  // Messages about the entry are published on the node that has its slot, which is not this node.
  if (endpoint_.is_for_one_request()) return send_transaction(connection, commands);
  begin_request(connection);
  read_unsubscribed();
  endpoint_.switch_to_resp3();
  connection.queue({"SUBSCRIBE", names.value_channel});
  connection.queue({supports_sharded_channels_ ? "SSUBSCRIBE" : "SUBSCRIBE", names.state_channel});
  queue_transaction(connection, commands);
  // A subscription is confirmed with a push, which is skipped, or refused with an error. In the
  // latter case it is not known which replies follow.
  const RedisReply first = endpoint_.next_reply();
  if (first.is_error()) {
    endpoint_.disconnect();
    const bool is_unknown = first.error()->find("unknown command") != std::string::npos;
    if (!is_unknown || !std::exchange(supports_sharded_channels_, false))
      endpoint_.throw_error(*first.error());
    return subscribe_in_shard(endpoint_.connection(), names, commands);
  }
  require_status(first);
  auto replies = transaction_replies(endpoint_.next_replies(commands.size() + 1), commands.size());
  endpoint_.set_subscribed(true);
  return replies;
}

RedisSession::AwaitedMessage RedisSession::await_message(Nanoseconds deadline, int interrupt) {
  AwaitedMessage awaited;
  if (!endpoint_.is_subscribed()) {
    awaited.end = await_readable(-1, interrupt, deadline);
    return awaited;
  }
  try {
    RedisConnection& connection = endpoint_.connection();
    awaited.end = connection.await_reply(interrupt, deadline);
    if (awaited.end != WaitEnd::readable) return awaited;
    const RedisReply reply = connection.read_reply();
    if (reply.is_message()) awaited.message = with_context([&] { return reply.message(); });
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    log_.debug("{}; reconnecting", error.what());
    endpoint_.disconnect();
  }
  return awaited;
}

Nanoseconds RedisSession::now() {
  if (!clock_.is_set()) (void)with_context([&] { return clock_.set(pipeline({{"TIME"}}).next()); });
  return clock_.now();
}

}  // namespace memolock
