// A Redis server for the benchmarks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "bench/process.hpp"
#include "src/redis/connection.hpp"

namespace bench {

/// Listens on a unix socket and on loopback ports, without and with TLS. The server ends when this
/// object is destroyed or this process ends.
class RedisServer {
 public:
  /// Starts the server in the new directory `home`, with additional options of the server.
  explicit RedisServer(std::filesystem::path home, const Words& options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // For each way to connect: the options of memolock, or redis-cli with its options.
  [[nodiscard]] Words over_unix() const;
  [[nodiscard]] Words over_tcp() const;
  [[nodiscard]] Words over_tls() const;
  [[nodiscard]] Words cli_over_unix() const;
  [[nodiscard]] Words cli_over_tcp() const;
  [[nodiscard]] Words cli_over_tls() const;

  [[nodiscard]] memolock::RedisConnection connect() const;
  [[nodiscard]] uint16_t port() const { return port_; }

  /// The reply to a command, over a connection that stays open.
  [[nodiscard]] memolock::RedisReply ask(std::initializer_list<memolock::RedisArgument> command);

  /// The server's counters, without this class's own connection and commands.
  struct Counters {
    int64_t connected = 0;           ///< open connections
    int64_t connections = 0;         ///< all connections so far
    int64_t reads = 0;               ///< reads of a request, or of the end of a connection
    int64_t commands = 0;            ///< including those in transactions and scripts
    int64_t received = 0, sent = 0;  ///< bytes
    Milliseconds cpu{0};             ///< the server's processor time
  };
  [[nodiscard]] Counters count();

 private:
  void await_start();

  std::filesystem::path home_;
  uint16_t port_;
  uint16_t tls_port_;
  pid_t pid_;
  std::unique_ptr<memolock::RedisConnection> connection_;
  int64_t asked_ = 0;  // how many commands ask() has sent
};

[[nodiscard]] uint16_t free_port();

}  // namespace bench
