#include "tests/fuzz/session/model.hpp"

#include <algorithm>
#include <cstdlib>

#include "src/entry/record.hpp"
#include "src/entry/token.hpp"
#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/system/clock.hpp"
#include "src/system/random.hpp"

namespace memolock::fuzz {
namespace {

using std::chrono::milliseconds;

constexpr const char* node_id = "0123456789012345678901234567890123456789";
constexpr int64_t hour = 3600000;  // milliseconds
constexpr int64_t linger = 1000;

milliseconds milliseconds_in(const std::string& digits) {
  return milliseconds(std::strtol(digits.c_str(), nullptr, 10));
}

std::vector<Reply> time_now() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(wall_now()).count();
  return {Reply::of(std::to_string(now / 1000000)), Reply::of(std::to_string(now % 1000000))};
}

Record stored_record(const Key& key) {
  Record record;
  record.key = key;
  record.token = random_name();
  record.holder = {"elsewhere", 42};
  record.begun = wall_now() - std::chrono::seconds(2);
  record.run_time = std::chrono::seconds(1);
  record.ended = record.begun + record.run_time;
  record.ttl = record.retained = std::chrono::hours(1);
  const std::string_view output = Model::stored_output;
  record.out_size = output.size();
  record.out_hash = checksum(output);
  record.err_hash = checksum("");
  record.disposition = Disposition::kept;
  return record;
}

}  // namespace

Model::Model(const Key& key, BracedId braced_id, uint16_t port)
    : names_(key, braced_id), key_(key), port_(port) {}

void Model::begin(Begin with) {
  Record record = stored_record(key_);
  if (with == Begin::held)
    hold(new_token({{"elsewhere", 42}, record.begun, Producer::command}), milliseconds(200));
  if (with == Begin::empty || with == Begin::held) return;
  if (with == Begin::stale) record.begun = record.ended = wall_now() - std::chrono::minutes(70);
  if (with == Begin::failed) {
    record.disposition = Disposition::failed;
    record.status = 3;
  }
  if (with == Begin::marked) record.disposition = Disposition::marked;
  const std::string& name = with == Begin::failed   ? names_.run_state
                            : with == Begin::marked ? names_.mark
                                                    : names_.meta;
  if (with != Begin::foreign) {
    write(name, record_fields(record), 0);
    hashes_[name]["ended"] = in_microseconds(record.ended);
    hashes_[name]["stderr"] = "";
  }
  if (with == Begin::failed) hashes_[name]["stdout"] = stored_output;
  if (name == names_.meta) strings_[names_.value] = stored_output;
}

std::string Model::token() const { return holder().empty() ? random_name() : holder(); }

std::vector<std::pair<std::string, std::string>> Model::take_messages() {
  return std::exchange(messages_, {});
}

void Model::publish(const std::string& channel, const std::string& payload) {
  messages_.emplace_back(channel, payload);
}

Reply Model::get(const std::string& name) const {
  const auto found = strings_.find(name);
  return found == strings_.end() ? Reply{} : Reply::of(found->second);
}

Reply Model::field(const std::string& name, const std::string& field) const {
  const auto hash = hashes_.find(name);
  if (hash == hashes_.end()) return {};
  const auto found = hash->second.find(field);
  return found == hash->second.end() ? Reply{} : Reply::of(found->second);
}

bool Model::has(const std::string& name) const {
  return strings_.contains(name) || hashes_.contains(name);
}

int64_t Model::life(const std::string& name) const {
  if (!has(name)) return -2;
  if (name == names_.lock)
    return duration_cast<milliseconds>(lock_ends_ - std::chrono::steady_clock::now()).count();
  return name == names_.meta ? hour + linger : hour;
}

int64_t Model::remove(const std::string& name) {
  return static_cast<int64_t>(strings_.erase(name) + hashes_.erase(name));
}

void Model::hold(const std::string& token, milliseconds life) {
  strings_[names_.lock] = token;
  lock_ends_ = std::chrono::steady_clock::now() + life;
}

std::string Model::holder() const {
  const auto found = strings_.find(names_.lock);
  if (found == strings_.end() || found->second == redis_scripts::released_marker) return "";
  return found->second;
}

/// Sets the fields of a hash: names and values, beginning with one of the words.
void Model::write(const std::string& name, const Words& words, size_t from) {
  for (size_t i = from; i + 1 < words.size(); i += 2) hashes_[name][words[i]] = words[i + 1];
}

/// Replies to commands that concern no key.
Reply Model::of_connection(const Words& command) const {
  const std::string& name = command[0];
  const std::string port = std::to_string(port_);
  const auto at = [&](const char* word) { return command.size() > 1 && command[1] == word; };
  if (name == "TIME") return Reply::array(time_now());
  if (name == "ROLE")
    return Reply::array({Reply::of("master"), Reply::of(int64_t{100}), Reply::array({})});
  if (name == "SENTINEL" && at("GET-MASTER-ADDR-BY-NAME"))
    return Reply::array({Reply::of("127.0.0.1"), Reply::of(port)});
  if (name == "CLUSTER" && at("MYID")) return Reply::of(node_id);
  if (name == "CLUSTER")
    return Reply::array({Reply::array(
        {Reply::of(int64_t{0}), Reply::of(int64_t{16383}),
         Reply::array({Reply::of("127.0.0.1"), Reply::of(int64_t{port_}), Reply::of(node_id)})})});
  if (name == "HELLO")
    return Reply::array({Reply::of("server"), Reply::of("redis"), Reply::of("version"),
                         Reply::of("7.0.15"), Reply::of("proto"), Reply::of(int64_t{2}),
                         Reply::of("mode"), Reply::of("standalone"), Reply::of("role"),
                         Reply::of("master"), Reply::of("modules"), Reply::array({})});
  if (name == "INFO")
    return Reply::of(
        "# Server\r\nredis_version:7.0.15\r\nused_memory:1000000\r\nmaxmemory:0\r\n"
        "maxmemory_policy:noeviction\r\nconnected_clients:1\r\nmaxclients:10000\r\n");
  return Reply::status("OK");
}

Reply Model::answer(const Words& command) {
  const std::string& name = command[0];
  if (lock_ends_ <= std::chrono::steady_clock::now()) remove(names_.lock);
  if (name == "EVAL") return evaluate(command);
  if (name == "SCAN") {
    std::vector<Reply> found;
    for (const auto& [key, value] : strings_) found.push_back(Reply::of(key));
    for (const auto& [key, value] : hashes_) found.push_back(Reply::of(key));
    return Reply::array({Reply::of("0"), Reply::array(std::move(found))});
  }
  if (name == "PUBLISH" || name == "SPUBLISH" || command.size() < 2) return of_connection(command);
  const std::string& key = command[1];
  if (name == "GET") return get(key);
  if (name == "EXISTS") return Reply::of(int64_t{has(key)});
  if (name == "STRLEN") return Reply::of(static_cast<int64_t>(get(key).text.size()));
  if (name == "PTTL") return Reply::of(life(key));
  if (name == "TYPE")
    return Reply::status(strings_.contains(key)  ? "string"
                         : hashes_.contains(key) ? "hash"
                                                 : "none");
  if (name == "DEL") return Reply::of(remove(key));
  if (name == "PEXPIRE" || name == "PERSIST") return Reply::of(int64_t{has(key)});
  if (name == "HGET") return field(key, command.back());
  if (name == "HDEL") {
    const bool had = hashes_.contains(key) && hashes_[key].erase(command.back()) > 0;
    return Reply::of(int64_t{had});
  }
  if (name == "HMGET") {
    std::vector<Reply> values;
    for (size_t i = 2; i < command.size(); ++i) values.push_back(field(key, command[i]));
    return Reply::array(std::move(values));
  }
  if (name == "HSET") {
    write(key, command, 2);
    return Reply::of(int64_t{1});
  }
  if (name == "SET" && command.size() > 2) {
    const bool returns_old = std::find(command.begin(), command.end(), "GET") != command.end();
    Reply old = get(key);
    strings_[key] = command[2];
    return returns_old ? old : Reply::status("OK");
  }
  return of_connection(command);
}

Reply Model::acquire(const Words& arguments) {
  const std::string& token = arguments[0];
  const std::string held_by = holder();
  if (!held_by.empty() && held_by != token) return Reply::of(int64_t{0});
  hold(token, milliseconds_in(arguments[1]));
  std::vector<Reply> said = time_now();
  said.push_back(field(names_.meta, "token"));
  said.push_back(strings_.contains(names_.value)
                     ? Reply::of(static_cast<int64_t>(strings_[names_.value].size()))
                     : Reply{});
  said.push_back(Reply::array({field(names_.run_state, "token"), field(names_.run_state, "fate")}));
  return Reply::array(std::move(said));
}

Reply Model::commit(const Words& arguments) {
  if (!holder().empty() && holder() != arguments[0]) return Reply::of("lost");
  const bool here = arguments[3] == "here";
  if (!here && !strings_.contains(names_.upload)) return Reply::of("part");
  strings_[names_.value] = here ? arguments[4] : strings_[names_.upload];
  if (!arguments[7].empty()) strings_[names_.files] = strings_[names_.files_upload];
  hashes_.erase(names_.meta);
  write(names_.meta, arguments, 9);
  hashes_[names_.meta]["ended"] = arguments[8];
  hashes_.erase(names_.run_state);
  hold(redis_scripts::released_marker, milliseconds(500));
  publish(here ? names_.value_channel : names_.state_channel, here ? arguments[4] : arguments[0]);
  return Reply::of("stored");
}

/// EVAL TEXT 8 KEY… ARGUMENT…
Reply Model::evaluate(const Words& command) {
  const std::string& text = command[1];
  const size_t front = 3 + static_cast<size_t>(std::strtoul(command[2].c_str(), nullptr, 10));
  const Words arguments(command.begin() + static_cast<std::ptrdiff_t>(front), command.end());
  const auto is = [&](const RedisScript& script) { return text.ends_with(script.parts.back()); };
  if (text.ends_with(read_script)) {
    std::vector<Reply> said;
    for (size_t i = 0; i < arguments.size();) {
      const auto count = static_cast<std::ptrdiff_t>(
          std::strtoul(arguments[i].c_str(), nullptr, 10));
      const auto from = arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      said.push_back(answer({from, from + count}));
      i += static_cast<size_t>(count) + 1;
    }
    return Reply::array(std::move(said));
  }
  if (arguments.empty()) return Reply::of(int64_t{1});
  const std::string& token = arguments[0];
  const bool holds = holder() == token;
  if (is(redis_scripts::acquire)) return acquire(arguments);
  if (is(redis_scripts::renew)) {
    if (!holder().empty() && !holds) return Reply::of("lost");
    hold(token, milliseconds_in(arguments[1]));
    return Reply::of("renewed");
  }
  if (is(redis_scripts::extend)) {
    if (holds) hold(token, milliseconds_in(arguments[1]));
    return Reply::of(int64_t{holds});
  }
  if (is(redis_scripts::commit)) return commit(arguments);
  if (is(redis_scripts::share) || is(redis_scripts::mark)) {
    const bool shares = is(redis_scripts::share);
    if (!holder().empty() && !holds) return Reply::of("lost");
    const std::string& name = shares ? names_.run_state : names_.mark;
    hashes_.erase(name);
    write(name, arguments, 4);
    hashes_[name]["ended"] = in_microseconds(wall_now());
    remove(names_.lock);
    publish(names_.state_channel, token);
    return Reply::of(shares ? "shared" : "stored");
  }
  if (is(redis_scripts::release)) {
    if (holds) remove(names_.lock);
    if (holds) publish(names_.state_channel, token);
    return Reply::of(int64_t{holds});
  }
  if (is(redis_scripts::withdraw)) {
    if (holds) remove(names_.lock);
    publish(names_.state_channel, token);
    return Reply::of(int64_t{1});
  }
  if (is(redis_scripts::discard)) return Reply::of("lost");
  if (is(redis_scripts::forget)) {
    const int64_t found = remove(names_.value) + remove(names_.mark) + remove(names_.run_state);
    remove(names_.meta);
    return Reply::of(std::min<int64_t>(found, 1));
  }
  if (is(redis_scripts::break_lock)) return Reply::of(remove(names_.lock));
  return Reply::error("ERR unknown script");
}

}  // namespace memolock::fuzz
