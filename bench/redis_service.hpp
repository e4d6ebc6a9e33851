// A sentinel and a cluster for the benchmarks.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "bench/redis_server.hpp"

namespace bench {

/// A sentinel that monitors a server under the name "main".
class RedisSentinel {
 public:
  RedisSentinel(const std::filesystem::path& home, const RedisServer& server);
  ~RedisSentinel();
  RedisSentinel(const RedisSentinel&) = delete;
  RedisSentinel& operator=(const RedisSentinel&) = delete;

  /// Options of memolock.
  [[nodiscard]] Words options() const;

 private:
  uint16_t port_;
  pid_t pid_;
};

/// A cluster of three nodes.
class RedisCluster {
 public:
  explicit RedisCluster(const std::filesystem::path& home);

  /// Options of memolock.
  [[nodiscard]] Words options() const;

 private:
  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

}  // namespace bench
