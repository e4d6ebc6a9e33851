// The state of a server that behaves as memolock expects: the data of one entry, and the replies.
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
  /// `port`: the server's own port on 127.0.0.1, which it reports as a sentinel and as a node.
  Model(const Key& key, BracedId braced_id, uint16_t port);

  /// What is stored at the beginning.
  enum class Begin { empty, fresh, stale, foreign, held, failed, marked };
  void begin(Begin with);
  /// The token that holds the lock at the beginning, or else a token that does not hold it.
  [[nodiscard]] std::string token() const;
  /// What a hit prints at the beginning.
  static constexpr const char* stored_output = "stored output\n";

  /// The reply to a command whose reply does not depend on the connection.
  [[nodiscard]] Reply answer(const Words& command);
  /// What was published since the last call, as channel and payload.
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
  std::chrono::steady_clock::time_point lock_ends_{};  // no other key expires
  std::vector<std::pair<std::string, std::string>> messages_;
};

}  // namespace memolock::fuzz
