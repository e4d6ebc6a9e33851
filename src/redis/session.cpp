#include "src/redis/session.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "src/redis/names.hpp"
#include "src/redis/sentinel.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;

/// What a server answers that will not do what it was asked. The connection is none the worse.
class Refused : public Error {
 public:
  explicit Refused(const std::string& message) : Error(Kind::store, message) {}
};

/// The same of one that has no room for what might take more memory: anything in a transaction.
class OutOfMemory : public Refused {
 public:
  explicit OutOfMemory(const std::string& message) : Refused(message) {}
};

/// The same of one that may well do it in a moment.
class Busy : public Error {
 public:
  explicit Busy(const std::string& message) : Error(Kind::store, message) {}
};

/// The same of a node of a cluster that has not what it was asked for. The router knows who has.
class Elsewhere : public Error {
 public:
  explicit Elsewhere(const std::string& message) : Error(Kind::store, message) {}
};

bool begins_with_word(std::string_view error, std::string_view word) {
  return error.starts_with(word) && (error.size() == word.size() || error[word.size()] == ' ');
}

bool is_busy(std::string_view error) {
  // NOREPLICAS: one that has been cut off, or that has taken over and whose replicas are on their
  // way.
  static constexpr std::array<std::string_view, 7> words{
      "LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "NOREPLICAS", "BUSY"};
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return begins_with_word(error, word); });
}

bool is_push(const RedisReply& reply) { return reply.type() == RedisReply::Type::push; }

bool is_message(const RedisReply& reply) {
  if (!is_push(reply) && reply.type() != RedisReply::Type::array) return false;
  if (reply.list().size() != 3) return false;
  const auto [kind, channel, payload] = reply.array<3>();
  return kind->is_text("message") || kind->is_text("smessage");
}

RedisSession::Message message_in(const RedisReply& reply) {
  const auto [kind, channel, payload] = reply.array<3>();
  // Of a large value it is enough to know that there is one.
  return {channel->text(), payload->has_text() ? payload->text() : payload->string().text};
}

/// Whether an error says that this user may not subscribe, or that a program between this and a
/// cluster knows of RESP2 alone.
bool bars_from_subscribing(std::string_view error) {
  const auto says = [&](std::string_view word) { return error.find(word) != std::string::npos; };
  return says("NOPERM") || says("NOPROTO") || (says("unknown command") && says("HELLO"));
}

/// What people are shown of a server's error.
std::string said(std::string_view error) {
  constexpr size_t enough = 200;
  // Redis 7 adds in which line of which script.
  const std::string_view start = error.substr(0, std::min(error.find(" script: "), enough));
  // Without a login, a command with many words is refused in other words.
  if (start.find("unauthenticated") != std::string_view::npos)
    return "NOAUTH Authentication required.";
  return escape_controls(start);
}

void queue_transaction(RedisConnection& connection, const std::vector<RedisCommand>& commands) {
  connection.queue({"MULTI"});
  for (const RedisCommand& command : commands) connection.queue(command);
  connection.queue({"EXEC"});
}

/// Of one that has done what it was told, and has nothing else to say.
void require_status(const RedisReply& reply) {
  if (reply.type() != RedisReply::Type::status) reply.refuse();
}

}  // namespace

RedisSession::RedisSession(RedisAddress address, Nanoseconds timeout, const Cutoff& cutoff,
                           const Log& log)
    : address_(std::move(address)), timeout_(timeout), cutoff_(cutoff), log_(log) {
  if (address_.is_cluster() && !address_.is_direct())
    router_ = std::make_unique<RedisRouter>(address_, timeout_, log_);
}

RedisNames names_at(const RedisAddress& address, const Key& key) {
  if (!address.is_cluster()) return {key, Brace::no};
  if (const auto fault = check_id_in_cluster(key.id)) throw usage_error("--id: " + *fault);
  return {key, Brace::yes};
}

RedisNames RedisSession::names(const Key& key) {
  RedisNames names = names_at(address_, key);
  route_to(names);
  return names;
}

void RedisSession::route_to(const RedisNames& names) {
  if (!router_) return;
  slot_ = slot_of(names.value);
  if (connection_ && !router_->may_be_at(slot_, host_)) disconnect();
}

std::vector<RedisAddress> RedisSession::primaries() {
  std::vector<RedisAddress> all;
  for (const RedisNode& node : router_->ask_for_slots(cutoff_).nodes())
    all.push_back(address_.at(node.host));
  return all;
}

std::string RedisSession::error_text_of(std::string_view what) const {
  return fmt::format("the store at {}: {}", host_.name.empty() ? address_.shown() : host_.shown(),
                     what);
}

void RedisSession::set_cutoff(const Cutoff& cutoff) {
  cutoff_ = cutoff;
  if (connection_) connection_->set_cutoff(cutoff);
}

void RedisSession::disconnect() {
  connection_.reset();
  subscribed_ = false;
}

RedisConnection& RedisSession::connection() {
  if (connection_) return *connection_;
  handshakes_.clear();
  is_detour_ = speaks_resp3_ = false;
  if (router_) {
    connect_to_node();
  } else if (address_.is_direct()) {
    connection_.emplace(address_, timeout_, cutoff_);
  } else {
    connect_to_master();
  }
  if (largest_strings_) connection_->limit_strings(*largest_strings_);
  return *connection_;
}

void RedisSession::connect_to_master() {
  const RedisAddress master = find_master(address_, timeout_, cutoff_, log_);
  host_ = {master.host, master.port};
  connection_.emplace(master, timeout_, cutoff_);
  queue_handshake(Handshake::role, {"ROLE"});
}

void RedisSession::connect_to_node() {
  const RedisRouter::Route route = router_->route(slot_, cutoff_);
  host_ = route.host;
  connection_.emplace(address_.at(host_), timeout_, cutoff_);
  is_detour_ = route.is_detour;
  expected_id_ = route.id;
  if (!expected_id_.empty()) queue_handshake(Handshake::id, {"CLUSTER", "MYID"});
  if (route.wants_slots) queue_handshake(Handshake::slots, {"CLUSTER", "SLOTS"});
}

void RedisSession::queue_handshake(Handshake handshake,
                                   std::initializer_list<RedisArgument> command) {
  connection_->queue(command);
  handshakes_.push_back(handshake);
}

/// The answer to what was sent first of them.
void RedisSession::take_handshake(const RedisReply& reply) {
  const Handshake handshake = handshakes_.front();
  handshakes_.erase(handshakes_.begin());
  try {
    switch (handshake) {
      case Handshake::role:
        return check_role(reply);
      case Handshake::id:
        return check_id(reply);
      case Handshake::slots:
        return router_->learn(reply, host_);
      case Handshake::resp3:
      case Handshake::asking:
        if (reply.is_error()) fail(*reply.error());
    }
  } catch (const Refused&) {
    disconnect();  // the answers to what was sent with it are still to come
    throw;
  }
}

/// Another node may have taken the place of the one that was remembered, even another cluster's.
void RedisSession::check_id(const RedisReply& id) {
  const bool may_not_ask = id.is_error() && begins_with_word(*id.error(), "NOPERM");
  if (may_not_ask || (!id.is_error() && id.text() == expected_id_)) return;
  router_->forget();
  throw Elsewhere(error_text_of("is not the node that it was"));
}

/// Reads whether this is the right server, before it is asked to write something.
void RedisSession::settle_handshakes(RedisConnection& connection) {
  const auto is_of_server = [](Handshake it) {
    return it == Handshake::role || it == Handshake::id;
  };
  while (std::any_of(handshakes_.begin(), handshakes_.end(), is_of_server))
    take_handshake(connection.read_reply());
}

/// Who may not ask must believe the sentinels.
void RedisSession::check_role(const RedisReply& role) {
  if (role.is_error()) {
    if (!begins_with_word(*role.error(), "NOPERM")) fail(*role.error());
    may_ask_role_ = false;
    return;
  }
  const auto [name] = role.first<1>();
  if (name->text() != "master") throw Busy(error_text_of("is no master any more"));
}

void RedisSession::fail(const UnexpectedReply& reply, const std::string& with_context) {
  const std::string text = error_text_of((with_context.empty() ? "" : with_context + ": ") +
                                         said(reply.what()));
  if (reply.is_misfit()) disconnect();
  throw store_error(text);
}

void RedisSession::fail(std::string_view error, std::string_view key) const {
  const std::string with_context = key.empty() ? "" : escape_controls(key) + ": ";
  const std::string text = error_text_of(with_context + said(error));
  if (router_) {
    if (const auto to = redirection_in(error, host_)) {
      router_->redirect(*to);
      throw Elsewhere(text);
    }
    if (begins_with_word(error, "CLUSTERDOWN") || begins_with_word(error, "LOADING"))
      router_->suspect(host_, "");
  }
  if (is_busy(error)) throw Busy(text);
  if (begins_with_word(error, "OOM")) throw OutOfMemory(text);
  throw Refused(text);
}

/// Runs `request` on a connection, again on a new one when that was lost, and again after a pause
/// when the server is busy.
template <typename Request>
auto RedisSession::with_retry(Nanoseconds retry_for, const Request& request) {
  constexpr int most_redirections = 5;  // while nodes disagree they could go on for ever
  const Nanoseconds begun = boot_now();
  const auto within = [&](Nanoseconds length) {
    return std::min(after(begun, length), cutoff_.until);
  };
  const Nanoseconds busy_for = std::max(timeout_, retry_for);
  Nanoseconds pause = milliseconds(20);
  int redirections = 0;
  bool has_looked_elsewhere = false;
  for (;;) {
    const bool used_before = connection_.has_value();
    Nanoseconds enough{0};
    try {
      auto answer = with_context([&] { return request(connection()); });
      // What takes long to arrive counts against its rate, not against the time of what follows.
      if (connection_->has_moved_much())
        set_cutoff({cutoff_.interrupt, after(cutoff_.until, boot_now() - begun)});
      if (is_detour_) disconnect();
      return answer;
    } catch (const Refused&) {
      throw;
    } catch (const OversizedReply&) {
      disconnect();  // the rest of it is not worth its way
      throw;
    } catch (const Elsewhere& elsewhere) {
      disconnect();
      // To connect to the first node and to ask it may have taken the timeout each.
      const Nanoseconds last = within(std::max(after(timeout_, timeout_), retry_for));
      if (++redirections <= most_redirections && boot_now() < last) continue;
      redirections = 0;
      enough = within(busy_for);
      if (boot_now() >= enough) throw;
      log_.debug("{}; trying again", elsewhere.what());
    } catch (const Busy& busy) {
      enough = within(busy_for);
      log_.debug("{}; trying again", busy.what());
      // A server that has become a replica is not the one to ask again; its name may lead
      // elsewhere.
      disconnect();
      if (boot_now() >= enough) throw;
    } catch (const Error& error) {
      disconnect();
      if (error.kind() != Error::Kind::store) throw;
      enough = within(retry_for);
      // The server may have closed a connection that was idle; one that is silent is not tried
      // twice.
      if (used_before && boot_now() - begun < timeout_) continue;
      if (router_) {
        router_->suspect(host_, error.what());
        if (!std::exchange(has_looked_elsewhere, true)) continue;
      }
      if (boot_now() >= enough) throw;
      log_.debug("{}; trying again", error.what());
    }
    if (await_readable(-1, cutoff_.interrupt, std::min(boot_now() + pause, enough)) ==
        Ready::interrupted)
      throw interrupted_error();
    pause = std::min<Nanoseconds>(2 * pause, milliseconds(500));
  }
}

/// The next reply that is no message: those are about to be looked into anyway.
RedisReply RedisSession::next_answer(RedisConnection& connection) {
  for (;;) {
    RedisReply reply = connection.read_reply();
    if (is_message(reply) || is_push(reply)) continue;
    if (handshakes_.empty()) {
      connection.count_reply();
      return reply;
    }
    take_handshake(reply);
  }
}

/// So many of them. Who must log in first, or is one client too many, is told so and then cut off.
std::vector<RedisReply> RedisSession::next_answers(RedisConnection& connection, size_t count) {
  std::vector<RedisReply> replies;
  try {
    while (replies.size() < count) replies.push_back(next_answer(connection));
  } catch (const Error&) {
    if (const std::string* const error = first_error(replies)) fail(*error);
    throw;
  }
  return replies;
}

/// Before each request; where it is for this one only, the server is told so, too.
void RedisSession::leave_channels(RedisConnection& connection) {
  // In RESP3 there is no need to leave: what comes meanwhile is told from answers.
  if (subscribed_ && !speaks_resp3_) connection.queue({"UNSUBSCRIBE"});
  if (is_detour_) queue_handshake(Handshake::asking, {"ASKING"});
}

/// The answers to that, one for each channel.
void RedisSession::skip_leaving(RedisConnection& connection) {
  if (!std::exchange(subscribed_, false) || speaks_resp3_) return;
  for (int channel = 0; channel < 2; ++channel) {
    const RedisReply reply = next_answer(connection);
    if (reply.is_error()) {
      disconnect();  // the answers to what was sent with it are still to come
      fail(*reply.error());
    }
    (void)reply.array<3>();
  }
}

RedisAnswers RedisSession::exchange(RedisConnection& connection,
                                    const std::vector<RedisCommand>& commands) {
  leave_channels(connection);
  queue_transaction(connection, commands);
  skip_leaving(connection);
  // One for MULTI, and for each command that it has been queued.
  return results(next_answers(connection, commands.size() + 2), commands.size());
}

/// What a transaction of `count` commands has answered: the last of the replies.
RedisAnswers RedisSession::results(std::vector<RedisReply> replies, size_t count) const {
  if (const std::string* const error = first_error(replies)) fail(*error);
  RedisReply last = std::move(replies.back());
  replies.pop_back();
  for (const RedisReply& reply : replies) require_status(reply);
  return RedisAnswers(last.take_elements(count));
}

/// The same while it subscribes. A transaction takes no sharded subscription, and RESP2 no other
/// request after one: hence RESP3.
RedisAnswers RedisSession::exchange_in_shard(const RedisNames& names,
                                             const std::vector<RedisCommand>& commands) {
  RedisConnection& connection = this->connection();
  // The node will not have the entry's messages but its keys.
  if (is_detour_) return exchange(connection, commands);
  leave_channels(connection);
  skip_leaving(connection);
  if (!std::exchange(speaks_resp3_, true)) queue_handshake(Handshake::resp3, {"HELLO", "3"});
  connection.queue({"SUBSCRIBE", names.notif});
  connection.queue({may_subscribe_in_shard_ ? "SSUBSCRIBE" : "SUBSCRIBE", names.fail});
  queue_transaction(connection, commands);
  // A subscription has no answer unless it is refused. Then too little is known of what follows.
  const RedisReply first = next_answer(connection);
  if (first.is_error()) {
    disconnect();
    const bool is_unknown = first.error()->find("unknown command") != std::string::npos;
    if (!is_unknown || !std::exchange(may_subscribe_in_shard_, false)) fail(*first.error());
    return exchange_in_shard(names, commands);
  }
  require_status(first);
  auto found = results(next_answers(connection, commands.size() + 1), commands.size());
  subscribed_ = true;
  return found;
}

/// The same in a script, which a server runs whatever its memory as long as it only reads.
RedisAnswers RedisSession::exchange_by_script(RedisConnection& connection,
                                              const std::vector<RedisCommand>& commands) {
  RedisCommand script{"EVAL", read_script, "0"};
  std::vector<std::string> counts;
  counts.reserve(commands.size());
  for (const RedisCommand& command : commands) {
    script.emplace_back(counts.emplace_back(std::to_string(command.size())));
    script.insert(script.end(), command.begin(), command.end());
  }
  leave_channels(connection);
  connection.queue(script);
  skip_leaving(connection);
  RedisReply reply = next_answer(connection);
  if (reply.is_error()) fail(*reply.error());
  return RedisAnswers(reply.take_elements(commands.size()));
}

RedisAnswers RedisSession::transact(const std::vector<RedisCommand>& commands,
                                    Nanoseconds retry_for) {
  return with_retry(retry_for, [&](RedisConnection& connection) {
    settle_handshakes(connection);
    return exchange(connection, commands);
  });
}

RedisAnswers RedisSession::read(const std::vector<RedisCommand>& commands, Nanoseconds retry_for) {
  return with_retry(retry_for, [&](RedisConnection& connection) {
    try {
      return exchange(connection, commands);
    } catch (const OutOfMemory&) {
      if (!connection_) throw;  // it was said to what is sent before a request
      return exchange_by_script(connection, commands);
    }
  });
}

RedisAnswers RedisSession::subscribe(const RedisNames& names,
                                     const std::vector<RedisCommand>& commands,
                                     Nanoseconds retry_for) {
  route_to(names);
  if (!may_subscribe_) return read(commands, retry_for);
  std::vector<RedisCommand> all{{"SUBSCRIBE", names.notif}, {"SUBSCRIBE", names.fail}};
  // A master that became a replica while somebody waits still answers.
  const bool asks_role = address_.has_sentinels() && may_ask_role_;
  if (asks_role) all.insert(all.begin(), {"ROLE"});
  all.insert(all.end(), commands.begin(), commands.end());
  try {
    return with_retry(retry_for, [&](RedisConnection& connection) {
      if (router_) return exchange_in_shard(names, commands);
      RedisAnswers answers = exchange(connection, all);
      if (asks_role) check_role(answers.next());
      for (int channel = 0; channel < 2; ++channel) (void)answers.next().array<3>();
      subscribed_ = true;
      return answers;
    });
  } catch (const OutOfMemory& error) {
    log_.debug("{}; looking without subscribing", error.what());
  } catch (const Error& error) {
    if (!bars_from_subscribing(error.what())) throw;
    log_.info("{}; looking once a lease instead", error.what());
    may_subscribe_ = false;
  }
  return read(commands, retry_for);
}

RedisReply RedisSession::run_script(const RedisScript& script, const RedisNames& names,
                                    const std::vector<RedisArgument>& arguments,
                                    Nanoseconds retry_for) {
  route_to(names);
  const char* const wake = router_ ? wake_in_shard : wake_all;
  const std::string text = fmt::format("{}{}", wake, fmt::join(script.parts, ""));
  RedisCommand command{"EVAL",      text,      "8",        names.value,      names.lock, names.meta,
                       names.files, names.run, names.part, names.files_part, names.mark};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return with_retry(retry_for, [&](RedisConnection& connection) {
    settle_handshakes(connection);
    leave_channels(connection);
    connection.queue(command);
    skip_leaving(connection);
    RedisReply reply = next_answer(connection);
    if (reply.is_error()) fail(*reply.error(), names.value);
    return reply;
  });
}

RedisAnswers RedisSession::send_all(RedisConnection& connection,
                                    const std::vector<RedisCommand>& commands) {
  // Before each of them there would have to be an ASKING.
  if (is_detour_) return exchange(connection, commands);
  leave_channels(connection);
  for (const RedisCommand& command : commands) connection.queue(command);
  skip_leaving(connection);
  return RedisAnswers(next_answers(connection, commands.size()));
}

RedisAnswers RedisSession::ask(const std::vector<RedisCommand>& commands) {
  return with_retry(Nanoseconds(0),
                    [&](RedisConnection& connection) { return send_all(connection, commands); });
}

RedisAnswers RedisSession::pipeline(const std::vector<RedisCommand>& commands) {
  return with_retry(Nanoseconds(0), [&](RedisConnection& connection) {
    RedisAnswers answers = send_all(connection, commands);
    answers.each_error([&](const std::string& error) {
      if (!begins_with_word(error, "WRONGTYPE")) fail(error);
    });
    return answers;
  });
}

RedisSession::Awaited RedisSession::await_message(Nanoseconds deadline, int interrupt) {
  Awaited awaited;
  if (!subscribed_) {
    awaited.ready = await_readable(-1, interrupt, deadline);
    return awaited;
  }
  try {
    awaited.ready = connection().await_reply(interrupt, deadline);
    if (awaited.ready != Ready::readable) return awaited;
    const RedisReply reply = connection().read_reply();
    if (is_message(reply)) awaited.message = with_context([&] { return message_in(reply); });
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    log_.debug("{}; connecting again", error.what());
    disconnect();
  }
  return awaited;
}

Nanoseconds RedisSession::now() {
  if (!clock_offset_) (void)with_context([&] { return set_clock(pipeline({{"TIME"}}).next()); });
  return boot_now() + *clock_offset_;
}

Nanoseconds RedisSession::set_clock(const RedisReply& time) {
  const auto [seconds, microseconds] = time.array<2>();
  return set_clock(*seconds, *microseconds);
}

Nanoseconds RedisSession::set_clock(const RedisReply& seconds, const RedisReply& microseconds) {
  // up to the year 2200, which leaves room to add to it
  constexpr int64_t last = 7258118400;
  if (seconds.number() < 0 || seconds.number() > last) seconds.refuse();
  if (microseconds.number() < 0 || microseconds.number() >= 1000000) microseconds.refuse();
  const Nanoseconds time = std::chrono::seconds(seconds.number()) +
                           std::chrono::microseconds(microseconds.number());
  clock_offset_ = time - boot_now();
  return time;
}

}  // namespace memolock
