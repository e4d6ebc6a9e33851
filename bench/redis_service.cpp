#include "bench/redis_service.hpp"

#include <signal.h>

#include <fstream>

#include <fmt/format.h>

#include "src/system/error.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

constexpr size_t node_count = 3;

pid_t launch_sentinel(const fs::path& home, uint16_t port, uint16_t master_port) {
  fs::create_directory(home);
  const fs::path settings = home / "conf";
  std::ofstream(settings) << fmt::format(
      "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n", port,
      home.string(), master_port);
  constexpr const char* script = R"(exec -a redis-sentinel redis-check-rdb "$1" >"$0/log")";
  return start({"setpriv", "--pdeathsig", "TERM", "bash", "-c", script, home, settings},
               STDOUT_FILENO);
}

void await_sentinel(uint16_t port) {
  memolock::RedisAddress address;
  address.host = "127.0.0.1";
  address.port = port;
  for (;;) {
    try {
      memolock::RedisConnection connection(address, std::chrono::seconds(2), {});
      return;
    } catch (const memolock::Error&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

}  // namespace

RedisSentinel::RedisSentinel(const fs::path& home, const RedisServer& server)
    : port_(free_port()), pid_(launch_sentinel(home, port_, server.port())) {
  await_sentinel(port_);
}

RedisSentinel::~RedisSentinel() {
  kill(pid_, SIGTERM);
  finish(pid_, now());
}

Words RedisSentinel::options() const {
  return {"--store", fmt::format("redis+sentinel://127.0.0.1:{}/main", port_)};
}

RedisCluster::RedisCluster(const fs::path& home) {
  fs::create_directory(home);
  constexpr size_t slots = 16384;
  for (size_t i = 0; i < node_count; ++i) {
    const std::string bus = std::to_string(free_port());
    auto node = std::make_unique<RedisServer>(
        home / std::to_string(i), Words{"--cluster-enabled", "yes", "--cluster-port", bus});
    (void)node->ask({"CLUSTER", "SET-CONFIG-EPOCH", i == 0 ? "1" : i == 1 ? "2" : "3"});
    const std::string first = std::to_string(slots * i / node_count);
    const std::string last = std::to_string(slots * (i + 1) / node_count - 1);
    (void)node->ask({"CLUSTER", "ADDSLOTSRANGE", first, last});
    if (i > 0) {
      const std::string port = std::to_string(node->port());
      (void)nodes_[0]->ask({"CLUSTER", "MEET", "127.0.0.1", port, bus});
    }
    nodes_.push_back(std::move(node));
  }
  for (const auto& node : nodes_)
    while (node->ask({"CLUSTER", "INFO"}).text().find("cluster_state:ok") == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

Words RedisCluster::options() const {
  std::string hosts;
  for (const auto& node : nodes_)
    hosts += fmt::format("{}127.0.0.1:{}", hosts.empty() ? "" : ",", node->port());
  return {"--store", "redis+cluster://" + hosts};
}

}  // namespace bench
