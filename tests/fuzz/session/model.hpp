// A server as memolock expects it: what it has of one entry, and what it answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/entry/key.hpp"
#include "src/redis/names.hpp"
#include "tests/fuzz/session/reply.hpp"

namespace memolock::fuzz {

using Words = std::vector<std::string>;

class Model {
 public:
  /// `port`: its own, of 127.0.0.1, as sentinels and nodes name it.
  Model(const Key& key, BracedId braced_id, uint16_t port);

  /// What it begins with.
  enum class Begin { empty, fresh, stale, foreign, held, failed, marked };
  void begin(Begin with);
  /// Of who holds the lock then, or else of nobody.
  [[nodiscard]] std::string token() const;
  /// What a hit prints then.
  static constexpr const char* stored_output = "stored output\n";

  /// The answer to a command that is the same on each connection.
  [[nodiscard]] Reply answer(const Words& command);
  /// What was published since, as channel and payload.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> take_messages();

 private:
  using Hash = std::map<std::string, std::string>;

  [[nodiscard]] Reply get(const std::string& name) const;
  [[nodiscard]] Reply field(const std::string& name, const std::string& field) const;
  [[nodiscard]] bool has(const std::string& name) const;
  [[nodiscard]] int64_t life(const std::string& name) const;
  int64_t remove(const std::string& name);
  void hold(const std::string& token, std::chrono::milliseconds life);
  [[nodiscard]] std::string holder() const;
  void write(const std::string& name, const Words& words, size_t from);
  void publish(const std::string& channel, const std::string& payload);
  [[nodiscard]] Reply of_connection(const Words& command) const;
  [[nodiscard]] Reply evaluate(const Words& command);
  [[nodiscard]] Reply acquire(const Words& arguments);
  [[nodiscard]] Reply commit(const Words& arguments);

  RedisNames names_;
  Key key_;
  uint16_t port_;
  std::map<std::string, std::string> strings_;
  std::map<std::string, Hash> hashes_;
  std::chrono::steady_clock::time_point lock_ends_{};  // no other key's life ends
  std::vector<std::pair<std::string, std::string>> messages_;
};

}  // namespace memolock::fuzz
