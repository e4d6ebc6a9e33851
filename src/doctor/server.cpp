#include "src/doctor/server.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "src/doctor/acl.hpp"
#include "src/doctor/cluster.hpp"
#include "src/doctor/redis_diagnosis.hpp"
#include "src/doctor/sentinels.hpp"
#include "src/entry/token.hpp"
#include "src/redis/names.hpp"
#include "src/redis/router.hpp"
#include "src/redis/sentinel.hpp"
#include "src/redis/session.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lock_requests.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/store/foreign_lock.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

using Severity = Finding::Severity;

std::optional<uint64_t> leading_number(std::string_view text) {
  uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return number;
}

/// The value of a line "NAME:VALUE" in a reply to INFO; empty if there is none.
std::string info_field(std::string_view info, std::string_view name) {
  const std::string start = fmt::format("\n{}:", name);
  const size_t at = info.find(start);
  if (at == std::string_view::npos) return "";
  info.remove_prefix(at + start.size());
  return std::string(info.substr(0, info.find_first_of("\r\n")));
}

/// Whether "MAJOR.MINOR…" is 6.2 or later.
bool is_new_enough(std::string_view version) {
  const auto major = leading_number(version);
  const size_t dot = version.find('.');
  const auto minor = dot == std::string_view::npos ? 0 : leading_number(version.substr(dot + 1));
  return major && std::pair(*major, minor.value_or(0)) >= std::pair<uint64_t, uint64_t>(6, 2);
}

/// The text of a reply, which may be an error.
std::string text_or_error(const RedisReply& answer) {
  return answer.is_error() ? *answer.error() : answer.text();
}

class ServerExamination {
 public:
  /// `scratch`: a key without an entry, whose slot is on this server.
  ServerExamination(const RedisSettings& settings, RedisAddress address, Key scratch,
                    const Log& log)
      : settings_(settings),
        log_(log),
        address_(std::move(address)),
        scratch_(std::move(scratch)),
        session_(address_, settings.timeout, {}, log) {
    session_.limit_large_strings(settings.max_entry);
  }

  void run();
  [[nodiscard]] std::vector<Finding> take_findings() { return std::move(findings_); }

 private:
  void add(Severity severity, std::string_view subject, std::string text, std::string remedy = "") {
    findings_.push_back({severity, std::string(subject), std::move(text), std::move(remedy)});
  }
  void examine();
  bool check_connection();
  void check_wire();
  void check_version(const RedisReply& hello);
  void check_role();
  void check_times();
  void check_memory(const std::string& info);
  void check_clients(const std::string& info);
  void check_info();
  void check_access();
  void check_writes();
  void check_locks();
  void note_long_locks(RedisArrayView names);

  const RedisSettings& settings_;
  const Log& log_;
  RedisAddress address_;  // of the server itself
  Key scratch_;
  RedisSession session_;
  std::map<std::string, std::string> server_info_;  // its reply to HELLO
  std::vector<Finding> findings_;
  std::vector<std::string> long_locks_;  // their descriptions
  std::string_view subject_ = "server";  // the subject of an error
};

void ServerExamination::run() {
  try {
    if (!address_.is_direct()) {
      findings_ = examine_sentinels(address_, settings_.timeout);
      address_ = find_primary(address_, settings_.timeout, {}, log_);
    }
    session_.with_context([&] { examine(); });
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    findings_.push_back(diagnose_error(error.what(), subject_));
  }
}

void ServerExamination::examine() {
  if (!check_connection()) return;
  check_role();
  check_times();
  check_info();
  check_access();
  check_locks();
}

/// Whether the server accepts the connection and the login. HELLO requires no permission, and even
/// a server that is loading replies to it.
bool ServerExamination::check_connection() {
  const RedisReply hello = session_.try_pipeline({{"HELLO", "2"}}).next();
  if (hello.is_error()) {
    // A server that does not know HELLO may support INFO.
    if (auto known = diagnose_known_error(*hello.error(), "server")) {
      findings_.push_back(std::move(*known));
      return false;
    }
  }
  if (!hello.is_error())
    for (const auto& [name, value] : hello.pairs())
      if (value->has_text()) server_info_[name->text()] = value->text();
  add(Severity::ok, "server", address_.shown() + " answers");
  add(Severity::ok, "login", "as the user " + (address_.user.empty() ? "default" : address_.user));
  check_wire();
  check_version(hello);
  return true;
}

void ServerExamination::check_wire() {
  const std::string& host = address_.host;
  if (address_.use_tls) return add(Severity::ok, "tls", "the server's certificate is valid");
  if (host.empty() || host == "localhost" || host == "::1" || host.starts_with("127."))
    return add(Severity::ok, "tls", "not needed on the local machine");
  add(Severity::advice, "tls", "passwords and outputs are sent unencrypted",
      "unless the network is trusted, enable TLS on the server and write rediss://");
}

void ServerExamination::check_version(const RedisReply& hello) {
  std::string version = server_info_["version"];
  std::string name = server_info_["server"];
  if (version.empty()) {
    const std::string info = text_or_error(session_.try_pipeline({{"INFO", "server"}}).next());
    // Valkey also reports the version of Redis with which it is compatible.
    version = info_field(info, "valkey_version");
    name = version.empty() ? "redis" : "valkey";
    if (version.empty()) version = info_field(info, "redis_version");
  }
  if (version.empty())
    return add(Severity::advice, "version",
               "the server does not report it: " + (hello.is_error() ? *hello.error() : ""),
               "make sure that it is Redis 6.2 or later, or Valkey");
  if (!name.empty() && name[0] >= 'a' && name[0] <= 'z')
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
  const std::string text = name + ' ' + version;
  if (is_new_enough(version)) return add(Severity::ok, "version", text);
  add(Severity::fail, "version", text, "use Redis 6.2 or later, or Valkey");
}

void ServerExamination::check_role() {
  const std::string& role = server_info_["role"];
  if (role.empty()) return;
  const std::string& mode = server_info_["mode"];
  if (mode == "sentinel") {
    add(Severity::fail, "role", "a sentinel, which stores no entries",
        "write redis+sentinel://HOST/NAME, or connect to the server that it monitors");
  } else if (mode == "cluster" && !address_.is_cluster()) {
    add(Severity::fail, "role",
        "part of a cluster, which distributes the keys of an entry over its nodes",
        "write redis+cluster:// or rediss+cluster://");
  } else if (role == "master") {
    add(Severity::ok, "role", "primary");
  } else {
    add(Severity::fail, "role", role + ", where writes are lost", "connect to the primary");
  }
}

/// Checks the round-trip time and the server's clock, using the fastest of several replies.
void ServerExamination::check_times() {
  constexpr Nanoseconds slow = std::chrono::milliseconds(100);
  constexpr Nanoseconds skewed = std::chrono::seconds(1);
  Nanoseconds trip = forever;
  Nanoseconds ahead{0};
  std::string refusal;
  for (int i = 0; i < 3; ++i) {
    const Nanoseconds before = boot_now();
    const RedisReply time = session_.try_pipeline({{"TIME"}}).next();
    const Nanoseconds passed = boot_now() - before;
    const Nanoseconds now = wall_now();
    if (time.is_error()) refusal = *time.error();
    if (passed >= trip) continue;
    trip = passed;
    if (refusal.empty()) ahead = session_.set_clock(time) - (now - passed / 2);
  }
  const std::string length = fmt::format("{:.2f}ms", static_cast<double>(trip.count()) / 1e6);
  if (trip < slow) {
    add(Severity::ok, "round trip", length);
  } else {
    add(Severity::advice, "round trip", length + ", which is added to each hit",
        "use a server with a shorter round trip, or check what slows it down");
  }
  if (!refusal.empty())
    return add(Severity::advice, "clock", "the server does not report it: " + refusal,
               "grant the user the ACL rule below");
  const Nanoseconds apart = ahead < Nanoseconds(0) ? -ahead : ahead;
  if (apart < skewed) return add(Severity::ok, "clock", "in step with this machine");
  add(Severity::advice, "clock",
      fmt::format("the server's clock is {} {} this machine's", format_duration(apart),
                  ahead > Nanoseconds(0) ? "ahead of" : "behind"),
      "the times of entries are the server's; correct the clock that is wrong");
}

void ServerExamination::check_info() {
  RedisReplies answers = session_.try_pipeline({{"INFO", "memory"}, {"INFO", "clients"}});
  check_memory(text_or_error(answers.next()));
  check_clients(text_or_error(answers.next()));
}

void ServerExamination::check_memory(const std::string& info) {
  const auto used = leading_number(info_field(info, "used_memory"));
  const auto most = leading_number(info_field(info, "maxmemory"));
  const std::string policy = info_field(info, "maxmemory_policy");
  if (!used || !most || policy.empty())
    return add(Severity::advice, "memory", "the server does not report it: " + info.substr(0, 200),
               "make sure that it has free memory and that its maxmemory-policy is noeviction");
  if (*most == 0) {
    add(Severity::ok, "memory", format_size(*used) + " in use, no limit");
    return add(Severity::ok, "eviction", "none, as there is no memory limit");
  }
  const std::string text = fmt::format("{} of {} in use", format_size(*used), format_size(*most));
  const bool evicts = policy != "noeviction";
  if (evicts || *used < *most - *most / 10) {
    add(Severity::ok, "memory", text);
  } else {
    add(Severity::advice, "memory", text + "; when it is full, nothing can be stored",
        "raise maxmemory, or store fewer or smaller entries, or use shorter ttls");
  }
  if (!evicts) return add(Severity::ok, "eviction", policy);
  add(Severity::advice, "eviction", policy + " can remove locks and entries that are in use",
      "set maxmemory-policy to noeviction, on a server that only memolock uses");
}

void ServerExamination::check_clients(const std::string& info) {
  const auto now = leading_number(info_field(info, "connected_clients"));
  const auto most = leading_number(info_field(info, "maxclients"));
  if (!now || !most) return;  // not all servers have these fields, and they are not important
  const std::string text = fmt::format("{} of {} connections in use", *now, *most);
  if (*now < *most - *most / 10) return add(Severity::ok, "clients", text);
  add(Severity::advice, "clients", text,
      "raise maxclients on the server: each waiter uses one connection");
}

void ServerExamination::check_access() {
  const auto is_fail = [](const Finding& finding) { return finding.severity == Severity::fail; };
  const auto found = examine_access(address_, settings_.timeout, scratch_);
  findings_.insert(findings_.end(), found.begin(), found.end());
  if (std::none_of(found.begin(), found.end(), is_fail)) check_writes();
}

/// Takes and releases a lock, as a run does.
void ServerExamination::check_writes() {
  subject_ = "writes";
  const RedisNames names = session_.route_to(scratch_);
  const std::string token = new_token({this_process(), wall_now(), Producer::command});
  const RedisReply taken = session_.run_script(redis_scripts::acquire, names, {token, "1000"});
  release_redis_lock(session_, scratch_, token);
  (void)taken.array<6>();
  add(Severity::ok, "writes", "acquired and released a lock");
}

/// Looks for locks of the tag that would outlast every waiter, among as many of the server's keys
/// as can be scanned in a second.
void ServerExamination::check_locks() {
  constexpr int keys_in_round = 1000;  // at least, except in the last round
  constexpr int most_rounds = 300;
  subject_ = "locks";
  const std::string pattern = RedisNames({escape_glob(scratch_.tag), "*"}, BracedId::no).lock;
  const std::string count = std::to_string(keys_in_round);
  const Nanoseconds end = after(boot_now(), std::chrono::seconds(1));
  std::string cursor = "0";
  int rounds = 0;
  do {
    const RedisReply reply =
        session_.try_pipeline({{"SCAN", cursor, "MATCH", pattern, "COUNT", count}}).next();
    if (reply.is_error()) return;  // check_access() has reported it
    const auto [next, names] = reply.array<2>();
    note_long_locks(names->list());
    cursor = next->text();
    ++rounds;
  } while (cursor != "0" && rounds < most_rounds && boot_now() < end);
  if (long_locks_.empty()) {
    const std::string where = cursor == "0" ? ""
                                            : fmt::format(" among about the first {} keys",
                                                          rounds * keys_in_round);
    return add(Severity::ok, "locks",
               fmt::format("no lock of another program{} lasts longer than a day", where));
  }
  const size_t others = long_locks_.size() - 1;
  add(Severity::advice, "locks",
      long_locks_.front() + (others == 0 ? "" : fmt::format("; other such locks: {}", others)),
      long_lock_advice);
}

void ServerExamination::note_long_locks(RedisArrayView names) {
  const BracedId braced_id = address_.is_cluster() ? BracedId::yes : BracedId::no;
  std::vector<RedisCommand> commands;
  std::vector<Key> keys;
  for (const RedisReply& name : names) {
    if (name.string().file) continue;  // too long for a key of memolock
    auto key = parse_redis_name(name.text(), braced_id);
    if (!key) continue;
    commands.push_back({"GET", name.text()});
    commands.push_back({"PTTL", name.text()});
    keys.push_back(std::move(*key));
  }
  if (commands.empty()) return;
  RedisReplies answers = session_.pipeline(commands);
  for (const Key& key : keys) {
    const RedisReply lock = answers.next();
    const Nanoseconds left = lifetime_of_pttl(read_pttl(answers.next()));
    if (lock.is_error()) continue;
    const std::string holder = read_lock_holder(lock);
    if (!holder.empty() && run_of_token(key, holder).foreign && outlasts_waiting(left))
      long_locks_.push_back(describe_long_lock(key, left));
  }
}

std::vector<Finding> examine_node(const RedisSettings& settings, const RedisAddress& address,
                                  const Key& scratch, const Log& log) {
  ServerExamination examination(settings, address, scratch, log);
  examination.run();
  return examination.take_findings();
}

std::vector<Finding> examine_cluster(const RedisSettings& settings, const std::string& tag,
                                     const Log& log) {
  RedisRouter router(settings.address, settings.timeout, log);
  try {
    const SlotMap& map = router.ask_for_slots({});
    std::vector<NodeFindings> nodes;
    for (const RedisNode& node : map.nodes())
      nodes.push_back({node.host, examine_node(settings, settings.address.at(node.host),
                                               scratch_key_at(map, node, tag), log)});
    std::vector<Finding> all = check_slots(map);
    for (Finding& finding : merge_findings(nodes)) all.push_back(std::move(finding));
    return all;
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store) throw;
    return {diagnose_error(error.what(), "cluster")};
  }
}

}  // namespace

Examination examine_server(const RedisSettings& settings, const std::string& tag, const Log& log) {
  const RedisAddress& address = settings.address;
  Examination examination{{}, least_acl_rule(tag, address)};
  if (address.is_cluster()) {
    examination.findings = examine_cluster(settings, tag, log);
  } else {
    const Key scratch{tag, std::string(probe_prefix) + random_name()};
    examination.findings = examine_node(settings, address, scratch, log);
  }
  return examination;
}

}  // namespace memolock
