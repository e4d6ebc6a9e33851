// Measures how costs grow with the numbers of waiters and entries, and with the size of an entry.
#include <fstream>

#include <fmt/format.h>

#include "bench/crowd.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

void point(const std::string& series, size_t x, double y) {
  fmt::print("{},{},{:.4g}\n", series, x, y);
  fflush(stdout);
}

constexpr auto crowds = std::to_array<size_t>({1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000});

/// How long the command must take so that all callers are waiting before it ends.
milliseconds length_for(size_t waiters) { return milliseconds(500 + 5 * waiters); }

void local_waiters(Bench& bench) {
  for (const size_t waiters : crowds) {
    std::vector<Milliseconds> lags;
    for (size_t i = 0; i < bench.fewer(60, 1); ++i) {
      run({bench.memolock, "del", "--tag", "b", "--id", "crowd"}, To::dev_null);
      Crowd crowd(bench, waiters + 1, {"--tag", "b", "--id", "crowd", "--ttl", "1h"},
                  length_for(waiters));
      crowd.finish();
      expect(crowd.runs() == 1 && crowd.failures() == 0, "a crowd did not share its run");
      lags.push_back(crowd.lag());
    }
    point("local lag ms", waiters, median(lags).count());
  }
}

void redis_waiters(Bench& bench) {
  RedisServer& server = bench.redis();
  for (const size_t waiters : crowds) {
    std::vector<Milliseconds> lags;
    RedisServer::Counters before;
    RedisServer::Counters after;
    for (size_t i = 0; i < bench.fewer(60, 1); ++i) {
      (void)server.ask({"FLUSHALL"});
      before = server.count();
      Crowd crowd(bench, waiters + 1,
                  joined(server.over_tcp(), {"--tag", "b", "--id", "crowd", "--ttl", "1h"}),
                  length_for(waiters));
      crowd.finish();
      after = server.count();
      expect(crowd.runs() == 1 && crowd.failures() == 0, "a crowd did not share its run");
      lags.push_back(crowd.lag());
    }
    const auto callers = static_cast<double>(waiters + 1);
    const auto each = [&](int64_t count) { return static_cast<double>(count) / callers; };
    const int64_t connections = after.connections - before.connections;
    point("redis lag ms", waiters, median(lags).count());
    point("redis connections of a caller", waiters, each(connections));
    point("redis requests of a caller", waiters, each(after.reads - before.reads - connections));
    point("redis commands of a caller", waiters, each(after.commands - before.commands));
    point("redis bytes in of a caller", waiters, each(after.received - before.received));
    point("redis bytes out of a caller", waiters, each(after.sent - before.sent));
    point("redis server time of a caller us", waiters,
          (after.cpu - before.cpu).count() * 1000 / callers);
  }
}

/// Measures the server's time for one message to one subscriber.
void redis_messages(Bench& bench) {
  constexpr int64_t subscribers = 500;
  constexpr int64_t messages = 200;
  RedisServer& server = bench.redis();
  std::vector<memolock::RedisConnection> connections;
  for (int64_t i = 0; i < subscribers; ++i) {
    connections.push_back(server.connect());
    connections.back().queue({"SUBSCRIBE", "b/notif:crowd"});
    (void)connections.back().read_reply();
  }
  const std::string value(100, 'x');
  const auto before = server.count();
  for (int64_t i = 0; i < messages; ++i) (void)server.ask({"PUBLISH", "b/notif:crowd", value});
  // Reads all messages, so that the time for sending them is included.
  for (auto& connection : connections)
    for (int64_t i = 0; i < messages; ++i) (void)connection.read_reply();
  const Milliseconds worked = server.count().cpu - before.cpu;
  point("redis server time of a message us", subscribers,
        worked.count() * 1000 / (subscribers * messages));
}

constexpr auto counts = std::to_array<size_t>({1, 10, 100, 1000, 10000, 100000, 1000000});

void local_entries(Bench& bench) {
  const Words hit = bench.get({"--tag", "e", "--id", "1", "--ttl", "forever"}, {"false"});
  const Words first = bench.get({"--tag", "e", "--id", "1", "--ttl", "forever"},
                                {"head", "-c", "100", "/dev/zero"});
  expect(run(first, To::dev_null).status == 0, "cannot store an entry");
  const fs::path directory = bench.work / "store" / "e";
  size_t made = 1;
  for (const size_t count : counts) {
    for (; made < count; ++made)
      fs::copy_file(directory / "1.entry", directory / fmt::format("{}.entry", made + 1));
    const Ratio ratio = compare(bench.runs, hit, {"/bin/true"}, To::dev_null);
    point("local hit among entries to true", count, ratio.a / ratio.b);
  }
  fs::remove_all(directory);
}

/// Adds values of 100 bytes, with the numbers `from` to `to`.
void fill(RedisServer& server, size_t from, size_t to) {
  constexpr const char* script = R"(
    for i = ARGV[1], ARGV[2] do redis.call('SET', 'b:' .. i, string.rep('x', 100)) end)";
  constexpr size_t at_once = 100000;  // few enough for the server to reply in time
  for (; from <= to; from += at_once) {
    const std::string first = std::to_string(from);
    const std::string last = std::to_string(std::min(to, from + at_once - 1));
    (void)server.ask({"EVAL", script, "0", first, last});
  }
}

void redis_entries(Bench& bench) {
  RedisServer& server = bench.redis();
  (void)server.ask({"FLUSHALL"});
  const Words of_entry = joined(server.over_tcp(), {"--tag", "b", "--id", "x", "--ttl", "forever"});
  const Words store = bench.get(of_entry, {"head", "-c", "100", "/dev/zero"});
  expect(run(store, To::dev_null).status == 0, "cannot store an entry");
  size_t made = 1;
  for (const size_t count : counts) {
    fill(server, made + 1, count);
    made = count;
    const Ratio ratio = compare(bench.runs, bench.get(of_entry, {"false"}), {"/bin/true"},
                                To::dev_null);
    point("redis hit among entries to true", count, ratio.a / ratio.b);
  }
  (void)server.ask({"FLUSHALL"});
}

constexpr auto sizes = std::to_array<size_t>(
    {100, 1U << 10, 10U << 10, 100U << 10, 1U << 20, 10U << 20, 100U << 20, 512U << 20});

void hits_of_sizes(Bench& bench, const std::string& store, const Words& options) {
  for (const size_t size : sizes) {
    const std::string bytes = std::to_string(size);
    const Words entry = joined(options, {"--tag", "s", "--id", bytes, "--ttl", "forever"});
    const Words fill = bench.get(joined(entry, {"--max-entry", "1G"}),
                                 {"head", "-c", bytes, "/dev/zero"});
    expect(run(fill, To::dev_null).status == 0, "cannot store an entry");
    const size_t runs = size > (1U << 20) ? bench.fewer(30, 1) : bench.runs;
    const Ratio ratio = compare(runs, bench.get(entry, {"false"}), {"/bin/true"}, To::dev_null);
    point(store + " hit ms by bytes", size, ratio.a.count());
    point(store + " hit MiB resident by bytes", size, static_cast<double>(ratio.peak_kib) / 1024);
    run(joined({bench.memolock, "del", "--tag", "s", "--id", bytes}, options), To::dev_null);
  }
}

}  // namespace

void print_curves(Bench& bench) {
  // First, because the peak memory of a new process is at least the memory of its parent, which is
  // still small now.
  hits_of_sizes(bench, "local", {});
  hits_of_sizes(bench, "redis", bench.redis().over_tcp());
  local_waiters(bench);
  redis_waiters(bench);
  redis_messages(bench);
  local_entries(bench);
  redis_entries(bench);
}

}  // namespace bench
