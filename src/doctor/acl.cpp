#include "src/doctor/acl.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "src/doctor/redis_diagnosis.hpp"
#include "src/redis/connection.hpp"
#include "src/redis/names.hpp"
#include "src/redis/session.hpp"

namespace memolock {
namespace {

/// The purpose of a command, which determines what does not work without it.
enum class Purpose {
  entries,       ///< everything else
  notification,  ///< waking waiters immediately; otherwise they check once per lease
  listing,       ///< ls, and del of a whole tag
  failover,      ///< noticing a primary that became a replica before it refuses a write
};

struct Probe {
  RedisCommand command;
  Purpose purpose = Purpose::entries;
};

/// Every command that is sent, or called by a script, with each kind of key for which it is used.
/// `names` must outlive the result.
std::vector<Probe> probes(const RedisNames& names, const RedisAddress& address) {
  std::vector<Probe> all{
      {{"TIME"}},
      {{"EXISTS", names.value}},
      {{"STRLEN", names.value}},
      {{"PTTL", names.value}},
      {{"TYPE", names.value}},
      {{"GET", names.value}},
      {{"SET", names.value, ""}},
      {{"PERSIST", names.value}},
      {{"GET", names.lock}},
      {{"SET", names.lock, "", "NX", "PX", "1"}},
      {{"PEXPIRE", names.lock, "1"}},
      {{"HGET", names.meta, "token"}},
      {{"HMGET", names.meta, "token"}},
      {{"HSET", names.meta, "token", ""}},
      {{"HSET", names.run_state, "part", ""}},
      {{"HDEL", names.run_state, "part"}},
      {{"HKEYS", names.run_state}},
      {{"SET", names.upload, ""}},
      {{"RENAME", names.upload, names.value}},
      {{"DEL", names.value}},
      {{"GET", names.files}},
      {{"SET", names.files_upload, ""}},
      {{"RENAME", names.files_upload, names.files}},
      {{"PERSIST", names.files}},
      {{"DEL", names.files}},
      {{"EVAL", "return 1", "8", names.value, names.lock, names.meta, names.files, names.run_state,
        names.upload, names.files_upload, names.mark}},
      {{"SUBSCRIBE", names.value_channel}, Purpose::notification},
      {{"SUBSCRIBE", names.state_channel}, Purpose::notification},
      {{"PUBLISH", names.value_channel, ""}, Purpose::notification},
      {{"PUBLISH", names.state_channel, ""}, Purpose::notification},
      {{"SCAN", "0"}, Purpose::listing}};
  if (address.has_sentinels()) all.push_back({{"ROLE"}, Purpose::failover});
  if (!address.is_cluster()) all.push_back({{"UNSUBSCRIBE"}, Purpose::notification});
  if (address.is_cluster())
    all.insert(all.end(), {{{"SSUBSCRIBE", names.state_channel}, Purpose::notification},
                           {{"SPUBLISH", names.state_channel, ""}, Purpose::notification},
                           {{"CLUSTER", "SLOTS"}},
                           {{"CLUSTER", "MYID"}},
                           {{"ASKING"}}});
  return all;
}

/// The command's name in an ACL rule.
std::string name_of(const Probe& probe) {
  auto name = std::string(probe.command.front().bytes);
  if (name == "CLUSTER") name.append("|").append(probe.command.at(1).bytes);
  return name;
}

/// `words`, separated by `between`.
std::string joined(const std::set<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

/// "+get +set" for {"GET", "SET"}.
std::string grants(const std::set<std::string>& commands) {
  std::string text = commands.empty() ? "" : "+" + joined(commands, " +");
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The patterns of the keys and of the channels of a tag's entries.
RedisNames acl_patterns(const std::string& tag) {
  std::string pattern = escape_glob(tag);
  // A pattern in an ACL cannot contain a space, and a shell would need quotes around any of these.
  for (char& c : pattern)
    if (c == ' ' || c == '"' || c == '\'') c = '?';
  return {{pattern, "*"}, BracedId::no};
}

std::string key_grants(const std::string& tag) {
  const RedisNames names = acl_patterns(tag);
  return fmt::format("~{} ~{} ~{} ~{} ~{} ~{}", names.value, names.lock, names.meta, names.files,
                     names.run_state, names.upload);
}

std::string channel_grants(const std::string& tag) {
  const RedisNames names = acl_patterns(tag);
  return fmt::format("&{} &{}", names.value_channel, names.state_channel);
}

/// "t/lock:*" for the name "t/lock:x", because permissions are not granted for single entries.
std::string acl_pattern(std::string_view name) {
  return std::string(name.substr(0, name.find(':'))) + ":*";
}

/// The permissions, as the replies to the probes show them.
class AccessReport {
 public:
  AccessReport(std::string user, std::string tag) : user_(std::move(user)), tag_(std::move(tag)) {}

  void add(const Probe& probe, const RedisReply& reply);
  void add_hello(const RedisReply& reply) { speaks_resp3_ = !reply.is_error(); }
  [[nodiscard]] std::vector<Finding> findings() const;

 private:
  [[nodiscard]] std::string setuser(const std::string& what) const {
    return fmt::format("ask an administrator to run: ACL SETUSER {} {}", user_, what);
  }
  [[nodiscard]] Finding commands() const;
  [[nodiscard]] Finding keys() const;
  [[nodiscard]] Finding channels() const;
  [[nodiscard]] bool cannot_end_subscription() const {
    return notification_.contains("UNSUBSCRIBE") && !notification_.contains("SUBSCRIBE");
  }

  std::string user_, tag_;
  std::set<std::string> entries_, notification_, listing_,
      failover_;                           // refused commands, by purpose
  std::set<std::string> keys_, channels_;  // patterns of refused names
  std::optional<Finding> fault_;           // the first error that is not about permissions
  bool speaks_resp3_ = true;
};

void AccessReport::add(const Probe& probe, const RedisReply& reply) {
  if (!reply.is_error()) return;
  const std::string_view error = *reply.error();
  const std::string name = name_of(probe);
  // Servers before 7.0 have no sharded channels; on these, ordinary channels are used.
  const bool is_sharded = name == "SSUBSCRIBE" || name == "SPUBLISH";
  if (is_sharded && error.find("unknown command") != std::string_view::npos) return;
  if (error.find("NOPERM") == std::string_view::npos) {
    if (!fault_) fault_ = diagnose_error(error, "writes");
  } else if (probe.command.size() == 1 || error.find(" to run ") != std::string_view::npos) {
    auto& refused = probe.purpose == Purpose::notification ? notification_
                    : probe.purpose == Purpose::listing    ? listing_
                    : probe.purpose == Purpose::failover   ? failover_
                                                           : entries_;
    refused.insert(name);
  } else if (probe.purpose == Purpose::notification) {
    channels_.insert(acl_pattern(probe.command.at(1).bytes));
  } else if (name != "EVAL" && name != "RENAME") {  // these errors do not name the key
    keys_.insert(acl_pattern(probe.command.at(1).bytes));
  }
}

Finding AccessReport::commands() const {
  using enum Finding::Severity;
  std::set<std::string> refused = entries_;
  if (cannot_end_subscription()) refused.insert("UNSUBSCRIBE");
  if (!refused.empty())
    return {fail, "commands", "refused: " + joined(refused, ", "), setuser(grants(refused))};
  if (!listing_.empty())
    return {advice, "commands", "SCAN is refused: ls and del --all do not work",
            setuser(grants(listing_))};
  if (!failover_.empty())
    return {advice, "commands",
            "ROLE is refused: waiters may not notice that the primary has become a replica",
            setuser(grants(failover_))};
  return {ok, "commands", "all required commands are allowed", ""};
}

Finding AccessReport::channels() const {
  using enum Finding::Severity;
  constexpr std::string_view so = "; waiters check once per lease instead of being woken";
  if (!speaks_resp3_)
    return {advice, "channels", fmt::format("HELLO 3 is refused{}", so),
            "connect directly to the nodes: a proxy may support only RESP2"};
  if (!notification_.empty())
    return {advice, "channels", fmt::format("refused: {}{}", joined(notification_, ", "), so),
            setuser(grants(notification_) + ' ' + channel_grants(tag_))};
  if (!channels_.empty())
    return {advice, "channels", fmt::format("no access to {}{}", joined(channels_, ", "), so),
            setuser(channel_grants(tag_))};
  return {ok, "channels", "waiters are woken by messages", ""};
}

Finding AccessReport::keys() const {
  using enum Finding::Severity;
  if (keys_.empty()) return {ok, "keys", "all keys of this tag are readable and writable", ""};
  return {fail, "keys", "no access to " + joined(keys_, ", "), setuser(key_grants(tag_))};
}

std::vector<Finding> AccessReport::findings() const {
  std::vector<Finding> all{commands(), keys(), channels()};
  if (fault_) all.push_back(*fault_);
  return all;
}

RedisReply ask(RedisConnection& connection, const RedisCommand& command) {
  connection.queue(command);
  return connection.read_reply();
}

}  // namespace

std::string least_acl_rule(const std::string& tag, const RedisAddress& address) {
  const RedisNames names = names_at(address, {tag, "any"});
  std::set<std::string> commands{"MULTI", "EXEC"};
  if (address.database != 0) commands.insert("SELECT");
  for (const Probe& probe : probes(names, address)) commands.insert(name_of(probe));
  return fmt::format("resetkeys {} resetchannels {} nocommands {}", key_grants(tag),
                     channel_grants(tag), grants(commands));
}

std::vector<Finding> examine_access(const RedisAddress& address, Nanoseconds timeout,
                                    const Key& scratch) {
  const RedisNames names = names_at(address, scratch);
  AccessReport report(address.user.empty() ? "default" : address.user, scratch.tag);
  RedisConnection connection(address, timeout, {});
  if (address.is_cluster()) {
    report.add_hello(ask(connection, {"HELLO", "3"}));
    (void)ask(connection, {"HELLO", "2"});
  }
  // Outside a transaction, EXEC is an error without consequences.
  RedisReply reply = ask(connection, {"EXEC"});
  if (reply.is_error() && reply.error()->find("NOPERM") != std::string::npos)
    report.add({{"EXEC"}}, reply);
  reply = ask(connection, {"MULTI"});
  // If MULTI failed, the probes would be executed.
  if (reply.type() != RedisReply::Type::status)
    return {{Finding::Severity::fail, "commands",
             std::string("MULTI is refused, so no other command was tried: ") +
                 (reply.is_error() ? *reply.error() : mismatch_message),
             "grant the user the ACL rule below"}};
  const std::vector<Probe> all = probes(names, address);
  for (const Probe& probe : all) connection.queue(probe.command);
  for (const Probe& probe : all) report.add(probe, connection.read_reply());
  return report.findings();
}

}  // namespace memolock
