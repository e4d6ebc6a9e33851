#include "src/redis_session.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/redis_sentinel.hpp"

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

bool begins_with_word(std::string_view error, std::string_view word) {
  return error.starts_with(word) && (error.size() == word.size() || error[word.size()] == ' ');
}

bool is_busy(std::string_view error) {
  static constexpr std::array<std::string_view, 6> words{"LOADING",    "TRYAGAIN", "CLUSTERDOWN",
                                                         "MASTERDOWN", "READONLY", "BUSY"};
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return begins_with_word(error, word); });
}

bool is_error(const RedisReply& reply) { return reply.type == RedisReply::Type::error; }

bool is_message(const RedisReply& reply) {
  return reply.type == RedisReply::Type::array && reply.elements.size() == 3 &&
         reply.elements[0].text == "message";
}

int64_t number_in(const RedisReply& reply) {
  if (reply.type == RedisReply::Type::integer) return reply.integer;
  int64_t number = 0;
  std::from_chars(reply.text.data(), reply.text.data() + reply.text.size(), number);
  return number;
}

}  // namespace

RedisSession::RedisSession(RedisAddress address, Nanoseconds timeout, int interrupt, const Log& log)
    : address_(std::move(address)), timeout_(timeout), interrupt_(interrupt), log_(log) {}

std::string RedisSession::worded(std::string_view what) const {
  return fmt::format("the store at {}: {}", master_.empty() ? address_.shown() : master_, what);
}

void RedisSession::set_interrupt(int descriptor) {
  interrupt_ = descriptor;
  if (connection_) connection_->set_interrupt(descriptor);
}

RedisConnection& RedisSession::connection() {
  if (connection_) return *connection_;
  if (!address_.has_sentinels()) return connection_.emplace(address_, timeout_, interrupt_);
  const RedisAddress master = find_master(address_, timeout_, interrupt_, log_);
  master_ = master.shown();
  connection_.emplace(master, timeout_, interrupt_);
  connection_->queue({"ROLE"});
  role_is_asked_ = true;
  return *connection_;
}

/// Who may not ask must believe the sentinels.
void RedisSession::check_role(const RedisReply& role) {
  if (is_error(role)) {
    if (!begins_with_word(role.text, "NOPERM")) fail(role);
    may_ask_role_ = false;
  } else if (role.elements.empty() || role.elements[0].text != "master") {
    throw Busy(worded("is no master any more"));
  }
}

void RedisSession::fail(const RedisReply& error, std::string_view key) const {
  constexpr size_t enough = 200;
  // Redis 7 adds in which line of which script.
  std::string said = error.text.substr(0, std::min(error.text.find(" script: "), enough));
  // What it says of a command with many words from one who has not logged in.
  if (said.find("unauthenticated") != std::string::npos) said = "NOAUTH Authentication required.";
  const std::string about = key.empty() ? "" : escape_controls(key) + ": ";
  const std::string text = worded(about + escape_controls(said));
  if (is_busy(error.text)) throw Busy(text);
  if (begins_with_word(error.text, "OOM")) throw OutOfMemory(text);
  throw Refused(text);
}

/// Runs `request` on a connection, again on a new one when that was lost, and again after a pause
/// when the server is busy.
template <typename Request>
auto RedisSession::persist(Nanoseconds retry_for, const Request& request) {
  const Nanoseconds begun = boot_now();
  Nanoseconds pause = milliseconds(20);
  for (;;) {
    const bool used_before = connection_.has_value();
    Nanoseconds enough{0};
    try {
      return request(connection());
    } catch (const Refused&) {
      throw;
    } catch (const Busy& busy) {
      enough = after(begun, std::max(timeout_, retry_for));
      log_.debug("{}; trying again", busy.what());
      // A server that has become a replica is not the one to ask again; its name may lead
      // elsewhere.
      connection_.reset();
      if (boot_now() >= enough) throw;
    } catch (const Error& error) {
      connection_.reset();
      subscribed_ = false;
      if (error.kind() != Error::Kind::store) throw;
      enough = after(begun, retry_for);
      // The server may have closed a connection that was idle; one that is silent is not tried
      // twice.
      if (used_before && boot_now() - begun < timeout_) continue;
      if (boot_now() >= enough) throw;
      log_.debug("{}; trying again", error.what());
    }
    subscribed_ = false;
    if (await_readable(-1, interrupt_, std::min(boot_now() + pause, enough)) == Ready::interrupted)
      throw Error(Error::Kind::interrupted, "interrupted");
    pause = std::min<Nanoseconds>(2 * pause, milliseconds(500));
  }
}

/// The next reply that is no message: those are about to be looked into anyway.
RedisReply RedisSession::next_answer(RedisConnection& connection) {
  for (;;) {
    RedisReply reply = connection.read_reply();
    if (is_message(reply)) continue;
    if (!std::exchange(role_is_asked_, false)) return reply;
    check_role(reply);
  }
}

/// So many of them. Who must log in first, or is one client too many, is told so and then cut off.
std::vector<RedisReply> RedisSession::next_answers(RedisConnection& connection, size_t count) {
  std::vector<RedisReply> replies;
  try {
    while (replies.size() < count) replies.push_back(next_answer(connection));
  } catch (const Error&) {
    const auto error = std::find_if(replies.begin(), replies.end(), is_error);
    if (error != replies.end()) fail(*error);
    throw;
  }
  return replies;
}

void RedisSession::leave_channels(RedisConnection& connection) {
  if (subscribed_) connection.queue({"UNSUBSCRIBE"});
}

/// The answers to that, one for each channel.
void RedisSession::skip_leaving(RedisConnection& connection) {
  if (!std::exchange(subscribed_, false)) return;
  for (int channel = 0; channel < 2; ++channel) (void)next_answer(connection);
}

std::vector<RedisReply> RedisSession::exchange(RedisConnection& connection,
                                               const std::vector<RedisCommand>& commands) {
  leave_channels(connection);
  connection.queue({"MULTI"});
  for (const RedisCommand& command : commands) connection.queue(command);
  connection.queue({"EXEC"});
  skip_leaving(connection);
  // One for MULTI, and for each command that it has been queued.
  std::vector<RedisReply> replies = next_answers(connection, commands.size() + 2);
  const auto error = std::find_if(replies.begin(), replies.end(), is_error);
  if (error != replies.end()) fail(*error);
  if (replies.back().elements.size() != commands.size())
    throw store_error(worded("the answer is not what was asked for"));
  return std::move(replies.back().elements);
}

/// The same in a script, which a server runs whatever its memory as long as it only reads.
std::vector<RedisReply> RedisSession::exchange_by_script(
    RedisConnection& connection, const std::vector<RedisCommand>& commands) {
  RedisCommand script{"EVAL", redis_scripts::read, "0"};
  std::vector<std::string> counts;
  counts.reserve(commands.size());
  for (const RedisCommand& command : commands) {
    script.emplace_back(counts.emplace_back(std::to_string(command.size())));
    script.insert(script.end(), command.begin(), command.end());
  }
  connection.queue(script);
  RedisReply reply = next_answer(connection);
  if (is_error(reply)) fail(reply);
  return std::move(reply.elements);
}

std::vector<RedisReply> RedisSession::transact(const std::vector<RedisCommand>& commands,
                                               Nanoseconds retry_for) {
  return persist(retry_for,
                 [&](RedisConnection& connection) { return exchange(connection, commands); });
}

std::vector<RedisReply> RedisSession::read(const std::vector<RedisCommand>& commands,
                                           Nanoseconds retry_for) {
  return persist(retry_for, [&](RedisConnection& connection) {
    try {
      return exchange(connection, commands);
    } catch (const OutOfMemory&) {
      return exchange_by_script(connection, commands);
    }
  });
}

std::vector<RedisReply> RedisSession::subscribe(const RedisNames& names,
                                                const std::vector<RedisCommand>& commands,
                                                Nanoseconds retry_for) {
  if (!may_subscribe_) return read(commands, retry_for);
  std::vector<RedisCommand> all{{"SUBSCRIBE", names.notif}, {"SUBSCRIBE", names.fail}};
  // A master that became a replica while somebody waits still answers.
  const bool asks_role = address_.has_sentinels() && may_ask_role_;
  if (asks_role) all.insert(all.begin(), {"ROLE"});
  const auto first = static_cast<std::ptrdiff_t>(all.size());
  all.insert(all.end(), commands.begin(), commands.end());
  try {
    return persist(retry_for, [&](RedisConnection& connection) {
      std::vector<RedisReply> replies = exchange(connection, all);
      if (asks_role) check_role(replies.front());
      replies.erase(replies.begin(), replies.begin() + first);
      subscribed_ = true;
      return replies;
    });
  } catch (const OutOfMemory& error) {
    log_.debug("{}; looking without subscribing", error.what());
  } catch (const Error& error) {
    if (std::string_view(error.what()).find("NOPERM") == std::string_view::npos) throw;
    log_.info("{}; looking once a lease instead", error.what());
    may_subscribe_ = false;
  }
  return read(commands, retry_for);
}

RedisReply RedisSession::run_script(const redis_scripts::Script& script, const RedisNames& names,
                                    const std::vector<RedisArgument>& arguments,
                                    Nanoseconds retry_for) {
  const std::string text = std::string(script.functions) + script.body;
  RedisCommand command{"EVAL",      text,      "8",        names.value,      names.lock, names.meta,
                       names.files, names.run, names.part, names.files_part, names.mark};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return persist(retry_for, [&](RedisConnection& connection) {
    leave_channels(connection);
    connection.queue(command);
    skip_leaving(connection);
    RedisReply reply = next_answer(connection);
    if (reply.type == RedisReply::Type::error) fail(reply, names.value);
    return reply;
  });
}

std::vector<RedisReply> RedisSession::send_all(RedisConnection& connection,
                                               const std::vector<RedisCommand>& commands) {
  leave_channels(connection);
  for (const RedisCommand& command : commands) connection.queue(command);
  skip_leaving(connection);
  return next_answers(connection, commands.size());
}

std::vector<RedisReply> RedisSession::ask(const std::vector<RedisCommand>& commands) {
  return persist(Nanoseconds(0),
                 [&](RedisConnection& connection) { return send_all(connection, commands); });
}

std::vector<RedisReply> RedisSession::pipeline(const std::vector<RedisCommand>& commands) {
  return persist(Nanoseconds(0), [&](RedisConnection& connection) {
    std::vector<RedisReply> replies = send_all(connection, commands);
    for (const RedisReply& reply : replies)
      if (is_error(reply) && !begins_with_word(reply.text, "WRONGTYPE")) fail(reply);
    return replies;
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
    RedisReply reply = connection().read_reply();
    if (is_message(reply))
      awaited.message = {std::move(reply.elements[1].text), std::move(reply.elements[2].text)};
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    log_.debug("{}; connecting again", error.what());
    connection_.reset();
    subscribed_ = false;
  }
  return awaited;
}

Nanoseconds RedisSession::now() {
  if (!clock_offset_) (void)set_clock(pipeline({{"TIME"}}).front());
  return boot_now() + *clock_offset_;
}

Nanoseconds RedisSession::set_clock(const RedisReply& answer) {
  if (answer.elements.size() < 2) throw store_error(worded("the answer has no time in it"));
  const Nanoseconds time = std::chrono::seconds(number_in(answer.elements[0])) +
                           std::chrono::microseconds(number_in(answer.elements[1]));
  clock_offset_ = time - boot_now();
  return time;
}

}  // namespace memolock
