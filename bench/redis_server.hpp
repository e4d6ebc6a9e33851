// A Redis server of the bench's own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "bench/process.hpp"
#include "src/redis/connection.hpp"

namespace bench {

/// At a socket in a folder and at ports of loopback, without and with TLS. It ends with this
/// object, and with this process.
class RedisServer {
 public:
  /// In the new folder `home`, with more of the server's own options.
  explicit RedisServer(std::filesystem::path home, const Words& options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // Options of memolock, and redis-cli with its options, for each way to it.
  [[nodiscard]] Words over_unix() const;
  [[nodiscard]] Words over_tcp() const;
  [[nodiscard]] Words over_tls() const;
  [[nodiscard]] Words cli_over_unix() const;
  [[nodiscard]] Words cli_over_tcp() const;
  [[nodiscard]] Words cli_over_tls() const;

  [[nodiscard]] memolock::RedisConnection connect() const;
  [[nodiscard]] uint16_t port() const { return port_; }

  /// The answer to a command, over a connection that stays.
  [[nodiscard]] memolock::RedisReply ask(std::initializer_list<memolock::RedisArgument> command);

  /// What the server has counted, less what counting adds: this class's own connection.
  struct Counters {
    int64_t connected = 0;           ///< connections that are open
    int64_t connections = 0;         ///< all there have been
    int64_t reads = 0;               ///< requests, or the end of a connection
    int64_t commands = 0;            ///< those within transactions and scripts, too
    int64_t received = 0, sent = 0;  ///< bytes
    Milliseconds cpu{0};             ///< what the server has worked
  };
  [[nodiscard]] Counters count();

 private:
  void await_start();

  std::filesystem::path home_;
  uint16_t port_;
  uint16_t tls_port_;
  pid_t pid_;
  std::unique_ptr<memolock::RedisConnection> connection_;
  int64_t asked_ = 0;  // how many commands
};

[[nodiscard]] uint16_t free_port();

}  // namespace bench
