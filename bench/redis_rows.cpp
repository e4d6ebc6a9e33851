// The rows of the Redis store.
#include <fmt/format.h>

#include "bench/crowd.hpp"
#include "bench/redis_service.hpp"

namespace bench {
namespace {

using std::chrono::milliseconds;

Words miss(const Bench& bench, const Words& server, const Words& command) {
  return bench.get(joined(server, {"--id", "miss", "--ttl", "0"}), command);
}

Words hit(const Bench& bench, const Words& server, const std::string& size) {
  return bench.get(joined(server, {"--tag", "b", "--id", size, "--ttl", "forever"}), {"false"});
}

Words cli_get(const Words& cli, const std::string& size) {
  return joined(cli, {"--raw", "GET", "b:" + size});
}

void store_entry(Bench& bench, const std::string& size) {
  const Words words = bench.get(
      joined(bench.redis().over_unix(),
             {"--tag", "b", "--id", size, "--ttl", "forever", "--max-entry", "200M"}),
      {"head", "-c", size, "/dev/zero"});
  expect(run(words, To::dev_null).status == 0, "cannot store an entry");
}

void hit_unix(Bench& bench) {
  store_entry(bench, "100");
  const Words ours = hit(bench, bench.redis().over_unix(), "100");
  const Words theirs = cli_get(bench.redis().cli_over_unix(), "100");
  print_row("Redis, unix socket: hit, 100 bytes / true",
            compare(bench.runs, ours, {"/bin/true"}, To::dev_null).text(), "1.25");
  print_row("  / redis-cli GET", compare(bench.runs, ours, theirs, To::dev_null).text(), "0.35");
}

void hit_tcp(Bench& bench) {
  store_entry(bench, "100");
  const Words ours = hit(bench, bench.redis().over_tcp(), "100");
  const Words theirs = cli_get(bench.redis().cli_over_tcp(), "100");
  print_row("Redis, TCP: hit, 100 bytes / true",
            compare(bench.runs, ours, {"/bin/true"}, To::dev_null).text(), "1.4");
  print_row("  / redis-cli GET", compare(bench.runs, ours, theirs, To::dev_null).text(), "0.35");
}

void hit_tls(Bench& bench) {
  store_entry(bench, "100");
  const Words ours = hit(bench, bench.redis().over_tls(), "100");
  const Words theirs = cli_get(bench.redis().cli_over_tls(), "100");
  print_row("Redis, TLS: hit, 100 bytes / redis-cli --tls GET",
            compare(bench.runs, ours, theirs, To::dev_null).text(), "0.75");
}

/// Compares a hit of 100 bytes through a sentinel or a cluster with one on a single server.
void print_service(Bench& bench, const std::string& what, const Words& service, const char* bar) {
  store_entry(bench, "100");
  const Words store = bench.get(joined(service, {"--tag", "b", "--id", "100", "--ttl", "forever"}),
                                {"head", "-c", "100", "/dev/zero"});
  expect(run(store, To::dev_null).status == 0, "cannot store an entry");
  print_row(what,
            compare(bench.runs, hit(bench, service, "100"),
                    hit(bench, bench.redis().over_tcp(), "100"), To::dev_null)
                .text(),
            bar);
}

void hit_sentinel(Bench& bench) {
  const RedisSentinel sentinel(bench.work / "sentinel", bench.redis());
  print_service(bench, "Redis by a sentinel: hit, 100 bytes / TCP", sentinel.options(), "1.6");
}

void hit_cluster(Bench& bench) {
  const RedisCluster cluster(bench.work / "cluster");
  print_service(bench, "Redis cluster: hit, 100 bytes / TCP", cluster.options(), "1.2");
}

void hit_large(Bench& bench) {
  store_entry(bench, "104857600");
  const Words ours = hit(bench, bench.redis().over_unix(), "104857600");
  const Words theirs = cli_get(bench.redis().cli_over_unix(), "104857600");
  const Ratio ratio = compare(bench.fewer(10, 1), ours, theirs, To::dev_null);
  print_row("Redis, unix socket: hit, 100 MiB / redis-cli GET", ratio.text(), "0.3");
  print_row("  its peak resident memory", ratio.peak(), "16 MiB");
  (void)bench.redis().ask({"FLUSHALL"});
}

void miss_true(Bench& bench) {
  print_row("Redis, unix socket: miss with true / true",
            compare(bench.runs, miss(bench, bench.redis().over_unix(), {"/bin/true"}),
                    {"/bin/true"}, To::dev_null)
                .text(),
            "2.8");
}

/// Measures the connections and the requests of a command. Each request is one round trip.
void print_cost(Bench& bench, const std::string& what, const Words& words, const std::string& bar) {
  constexpr int64_t times = 50;
  const auto before = bench.redis().count();
  for (int64_t i = 0; i < times; ++i)
    expect(run(words, To::dev_null).status == 0, "a command failed: " + words[0]);
  const auto after = bench.redis().count();
  const int64_t connections = after.connections - before.connections;
  // the server also counts the end of a connection as a read
  const int64_t requests = after.reads - before.reads - connections;
  print_row(what,
            fmt::format("{:.2f}; {:.2f}", double(connections) / times, double(requests) / times),
            bar);
}

void cost(Bench& bench) {
  store_entry(bench, "100");
  const Words server = bench.redis().over_unix();
  print_cost(bench, "Redis: connections; round trips of a hit", hit(bench, server, "100"), "1; 1");
  print_cost(bench, "Redis: connections; round trips of a miss", miss(bench, server, {"/bin/true"}),
             "1; 3");
}

Crowd gather(Bench& bench, size_t callers, const std::string& lease, milliseconds length) {
  (void)bench.redis().ask({"FLUSHALL"});
  return {bench, callers,
          joined(bench.redis().over_tcp(),
                 {"--tag", "b", "--id", "crowd", "--ttl", "1h", "--lease", lease}),
          length};
}

/// Sleeps until `count` callers have subscribed to the channel of the crowd's entry.
void await_waiters(Bench& bench, size_t count) {
  await([&] {
    const auto reply = bench.redis().ask({"PUBSUB", "NUMSUB", "b/notif:crowd"});
    return reply.array<2>()[1]->integer() == static_cast<int64_t>(count);
  });
}

void crowd_100(Bench& bench) {
  CrowdRow row;
  for (size_t i = 0; i < bench.fewer(30, 1); ++i) {
    Crowd crowd = gather(bench, 100, "10s", std::chrono::seconds(1));
    crowd.finish();
    row.add(crowd, crowd.lag());
  }
  row.print("Redis, TCP: 100 callers of 1 s", "1; 0");
  row.print_times("last caller after the command's end", "20 ms");
}

void crowd_500(Bench& bench) {
  constexpr size_t callers = 500;
  constexpr int leases = 3;
  CrowdRow row;
  int64_t connected = 0;
  int64_t requests = 0;
  for (size_t i = 0; i < bench.fewer(100, 1); ++i) {
    const auto before = bench.redis().count();
    Crowd crowd = gather(bench, callers, "10s", leases * std::chrono::seconds(10));
    await_waiters(bench, callers - 1);
    connected = std::max(connected, bench.redis().count().connected);
    crowd.finish();
    row.add(crowd, crowd.lag());
    const auto after = bench.redis().count();
    requests = std::max(requests,
                        after.reads - before.reads - (after.connections - before.connections));
  }
  row.print("Redis, TCP: 500 callers of 30 s, lease 10 s", "1; 0");
  row.print_times("last caller after the command's end", "");
  print_row("  connections while all wait", std::to_string(connected), "500, 1 for renewals");
  print_row("  requests of a caller", fmt::format("{:.2f}", double(requests) / callers),
            fmt::format("{:.1f}", 6 + 1.5 * leases));
}

void killed(Bench& bench, size_t callers) {
  CrowdRow row;
  for (size_t i = 0; i < bench.fewer(30, 1); ++i) {
    Crowd crowd = gather(bench, callers, "2s", std::chrono::seconds(4));
    const pid_t holder = crowd.await_holder();
    await_waiters(bench, callers - 1);
    crowd.kill(holder);
    const Milliseconds asked = now();
    const milliseconds left(bench.redis().ask({"PTTL", "b/lock:crowd"}).integer());
    crowd.finish();
    row.add(crowd, crowd.begun(1) - asked - left);
  }
  row.print(fmt::format("Redis, TCP: {} callers of 4 s, holder killed", callers), "2; 0");
  row.print_times("take-over after the end of the lease", "100 ms");
}

void killed_100(Bench& bench) { killed(bench, 100); }
void killed_500(Bench& bench) { killed(bench, 500); }

}  // namespace

std::vector<Row> redis_rows() {
  return {{"redis-hit-unix", hit_unix},     {"redis-hit-tcp", hit_tcp},
          {"redis-hit-tls", hit_tls},       {"redis-hit-large", hit_large},
          {"redis-sentinel", hit_sentinel}, {"redis-cluster", hit_cluster},
          {"redis-miss", miss_true},        {"redis-cost", cost},
          {"redis-crowd-100", crowd_100},   {"redis-crowd-500", crowd_500},
          {"redis-killed-100", killed_100}, {"redis-killed-500", killed_500}};
}

}  // namespace bench
