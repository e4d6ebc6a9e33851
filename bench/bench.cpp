// The table of speeds: each row one comparison, the two commands in turn in one run, medians.
//
//   bench [-n RUNS] [ROW…]     RUNS: 300; ROW: a word of the row's name
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include <fmt/format.h>

#include "bench/process.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

size_t runs = 300;
fs::path self;      // this binary, which is also the commands that are run
fs::path memolock;  // the binary under test
fs::path work;      // a folder on a disk
fs::path memory;    // a folder in memory

void row(const std::string& what, const std::string& saw, const std::string& bar) {
  fmt::print("{:<62} {:>30}   {}\n", what, saw, bar);
  fflush(stdout);
}

Words get(const Words& options, const Words& command) {
  Words words{memolock, "get"};
  words.insert(words.end(), options.begin(), options.end());
  words.emplace_back("--");
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

void expect(bool truth, const std::string& what) {
  if (!truth) throw std::runtime_error(what);
}

/// Runs `a` and `b` in turn; `before` before each. The ratio of the medians, and the peak of `a`.
struct Ratio {
  Milliseconds a{0}, b{0};
  long peak_kib = 0;

  [[nodiscard]] std::string text() const {
    return fmt::format("{:.2f}  ({:.2f} / {:.2f} ms)", a / b, a.count(), b.count());
  }
};

Ratio compare(
    const Words& a, const Words& b, To to, const std::function<void()>& before = [] {}) {
  std::vector<Milliseconds> times_a;
  std::vector<Milliseconds> times_b;
  Ratio ratio;
  for (size_t i = 0; i <= runs; ++i) {
    before();
    const Finished with_a = run(a, to);
    before();
    const Finished with_b = run(b, to);
    expect(with_a.status == 0 && with_b.status == 0, "a command failed: " + a[0] + " or " + b[0]);
    if (i == 0) continue;  // warm-up
    times_a.push_back(with_a.wall);
    times_b.push_back(with_b.wall);
    ratio.peak_kib = std::max(ratio.peak_kib, with_a.peak_kib);
  }
  ratio.a = median(times_a);
  ratio.b = median(times_b);
  return ratio;
}

void store_entry(const std::string& id, const std::string& size) {
  const Finished stored = run(
      get({"--tag", "b", "--id", id, "--ttl", "forever", "--max-entry", "2G"},
          {"head", "-c", size, "/dev/zero"}),
      To::dev_null);
  expect(stored.status == 0, "cannot store an entry");
}

Words hit(const std::string& tag, const std::string& id) {
  return get({"--tag", tag, "--id", id, "--ttl", "forever"}, {"false"});
}

fs::path file_of(const std::string& size) {
  fs::path path = work / ("file-" + size);
  run({"sh", "-c", "head -c \"$1\" /dev/zero >\"$2\"", "sh", size, path}, To::dev_null);
  return path;
}

void hit_small() {
  store_entry("100", "100");
  row("hit, 100 bytes / true", compare(hit("b", "100"), {"/bin/true"}, To::dev_null).text(), "1.2");
}

void hit_mebibyte() {
  store_entry("1M", "1048576");
  row("hit, 1 MiB / cat of a file",
      compare(hit("b", "1M"), {"cat", file_of("1048576")}, To::dev_null).text(), "1.2");
}

void hit_gibibyte() {
  store_entry("1G", "1073741824");
  const fs::path file = file_of("1073741824");
  row("hit, 1 GiB into a pipe / cat of a file into it",
      compare(hit("b", "1G"), {"cat", file}, To::splicing_reader).text(), "0.7");
  fs::remove(file);
  run({memolock, "del", "--tag", "b", "--id", "1G"}, To::dev_null);
}

void miss_small() {
  const Words miss = get({"--tag", "b", "--id", "miss", "--ttl", "0"}, {"/bin/true"});
  row("miss with true / true", compare(miss, {"/bin/true"}, To::dev_null).text(), "2.5");
  row("miss with true / flock FILE true",
      compare(miss, {"flock", work / "lock", "/bin/true"}, To::dev_null).text(), "1.1");
}

void miss_gibibyte() {
  const Words miss = get({"--store", "file://" + memory.string(), "--id", "m", "--ttl", "1h"},
                         {"head", "-c", "1073741824", "/dev/zero"});
  const Words tee{"sh", "-c", "head -c 1073741824 /dev/zero | tee \"$1\" >/dev/null", "sh",
                  memory / "tee"};
  const Ratio ratio = compare(miss, tee, To::dev_null, [] {
    fs::remove_all(memory / "default");
    fs::remove(memory / "tee");
  });
  row("miss, 1 GiB through, in memory / tee FILE", ratio.text(), "1.2");
  row("  its peak resident memory", fmt::format("{:.1f} MiB", double(ratio.peak_kib) / 1024), "16");
}

Words worker(const fs::path& log, const std::string& milliseconds) {
  return {self, "--work", log, milliseconds};
}

/// The pid in the first line of a log that is being written.
pid_t first_worker(const fs::path& log) {
  for (;;) {
    std::ifstream file(log);
    pid_t pid = 0;
    std::string end;
    if (file >> pid && std::getline(file, end) && !file.eof()) return pid;
  }
}

struct Crowd {
  size_t commands = 0;  ///< how often the command ran
  size_t failures = 0;
  Milliseconds lag{0};  ///< from the command's end to the last caller's
  Milliseconds takeover{0};
};

/// When the worker of line `index` began (field 1) or ended (field 1 of its "end" line).
Milliseconds time_in(const fs::path& log, const std::string& what, size_t index) {
  std::ifstream file(log);
  std::vector<double> times;
  pid_t pid = 0;
  std::string kind;
  double time = 0;
  while (file >> pid >> kind >> time)
    if (kind == what) times.push_back(time);
  return Milliseconds(times.at(index));
}

pid_t parent_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string skipped;
  pid_t parent = 0;
  file >> skipped >> skipped >> skipped >> parent;
  return parent;
}

/// Whether this memolock sleeps until another's run ends: its second thread is blocked in a lock.
bool is_waiting(pid_t pid) {
  const fs::directory_iterator threads("/proc/" + std::to_string(pid) + "/task");
  return std::distance(begin(threads), end(threads)) > 1;
}

Crowd crowd(size_t callers, bool kill_holder) {
  static const int dev_null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const fs::path log = work / "log";
  fs::remove(log);
  run({memolock, "del", "--tag", "b", "--id", "crowd"}, To::dev_null);
  const Words call = get({"--tag", "b", "--id", "crowd", "--ttl", "1h"},
                         worker(log, kill_holder ? "3000" : "1000"));
  std::vector<pid_t> pids;
  for (size_t i = 0; i < callers; ++i) pids.push_back(start(call, dev_null));
  Crowd crowd;
  Milliseconds killed{0};
  if (kill_holder) {
    const pid_t holder = parent_of(first_worker(log));
    // Not while callers are still on their way: all of them are to wait for the one who dies.
    for (const pid_t pid : pids)
      while (pid != holder && !is_waiting(pid))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    killed = now();
    kill(holder, SIGKILL);
  }
  for (const pid_t pid : pids) crowd.failures += finish(pid, now()).status == 0 ? 0U : 1U;
  const Milliseconds all_done = now();
  const size_t last = kill_holder ? 1 : 0;
  crowd.lag = all_done - time_in(log, "end", 0);
  if (kill_holder) crowd.takeover = time_in(log, "begin", last) - killed;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);)
    if (line.find(" begin ") != std::string::npos) ++crowd.commands;
  return crowd;
}

void crowd_rows(size_t callers, bool kill_holder, const std::string& bar) {
  std::vector<Milliseconds> lags;
  std::vector<Milliseconds> takeovers;
  size_t most_commands = 0;
  size_t failures = 0;
  for (size_t i = 0; i < std::max<size_t>(runs / 30, 1); ++i) {
    const Crowd seen = crowd(callers, kill_holder);
    lags.push_back(seen.lag);
    takeovers.push_back(seen.takeover);
    most_commands = std::max(most_commands, seen.commands);
    failures += seen.failures;
  }
  const std::string of = fmt::format("{} callers of {}", callers,
                                     kill_holder ? "3 s, holder killed" : "1 s");
  row(of + ": most runs; failed callers", fmt::format("{}; {}", most_commands, failures),
      kill_holder ? "2; 1 (the killed)" : "1; 0");
  if (kill_holder) {
    row("  take-over after", fmt::format("{:.1f} ms", median(takeovers).count()), bar);
  } else {
    row("  last caller after the command's end", fmt::format("{:.1f} ms", median(lags).count()),
        bar);
  }
}

void crowd_100() { crowd_rows(100, false, "15 ms"); }
void crowd_500() {
  crowd_rows(500, false, "");
  crowd_rows(500, true, "100 ms");
}

/// Copies of one entry's record would be foreign under other names, so each is made by a run.
void fill(const std::string& tag, size_t count) {
  constexpr const char* script = R"(
    part() {
      i=$1
      while [ "$i" -le "$4" ]; do
        "$2" get --tag "$3" --id "id-$i" --ttl forever -- echo "$i"
        i=$((i + 2))
      done
    }
    part 1 "$@" & part 2 "$@" & wait)";
  run({"sh", "-c", script, "sh", memolock, tag, std::to_string(count)}, To::dev_null);
}

void many_entries() {
  constexpr size_t many = 100000;
  store_entry("one", "100");
  fill("tenth", many / 10);
  fill("many", many);
  row("hit among 100 000 entries / hit of an only one",
      compare(hit("many", "id-77777"), hit("b", "one"), To::dev_null).text(), "1.0");
  const auto all = runs;
  runs = std::max<size_t>(runs / 30, 3);
  row("ls of 100 000 entries / of 10 000",
      compare({memolock, "ls", "--tag", "many"}, {memolock, "ls", "--tag", "tenth"}, To::dev_null)
          .text(),
      "10 (linear)");
  runs = all;
  const Finished tenth = run({memolock, "del", "--tag", "tenth", "--all"}, To::dev_null);
  const Finished whole = run({memolock, "del", "--tag", "many", "--all"}, To::dev_null);
  row("del of 100 000 entries / of 10 000, once",
      fmt::format("{:.2f}  ({:.0f} / {:.0f} ms)", whole.wall / tenth.wall, whole.wall.count(),
                  tenth.wall.count()),
      "10 (linear)");
}

struct Row {
  const char* name;
  void (*measure)();
};
constexpr std::array<Row, 8> rows{{{"hit-small", hit_small},
                                   {"hit-mebibyte", hit_mebibyte},
                                   {"hit-gibibyte", hit_gibibyte},
                                   {"miss-small", miss_small},
                                   {"miss-gibibyte", miss_gibibyte},
                                   {"crowd-100", crowd_100},
                                   {"crowd-500", crowd_500},
                                   {"many-entries", many_entries}}};

/// The expensive command: says in one write each when it begins and ends.
int do_work(const char* log, const char* milliseconds) {
  const int file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const auto say = [&](const char* what) {
    const std::string line = fmt::format("{} {} {:.3f}\n", getpid(), what, now().count());
    return write(file, line.data(), line.size()) > 0;
  };
  bool said = say("begin");
  std::this_thread::sleep_for(std::chrono::milliseconds(strtol(milliseconds, nullptr, 10)));
  said = say("end") && said;
  return said ? 0 : 1;
}

fs::path make_folder(const fs::path& where) {
  std::string name = where / "memolock-bench-XXXXXX";
  if (mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("cannot make a folder in " + where.string());
  return name;
}

int measure(const Words& wanted) {
  self = fs::read_symlink("/proc/self/exe");
  memolock = self.parent_path().parent_path() / "memolock";
  work = make_folder(fs::temp_directory_path());
  memory = make_folder("/dev/shm");
  setenv("MEMOLOCK_CACHE_DIR", (work / "store").c_str(), 1);
  fmt::print("{} cores; medians of {} runs each, the two in turn\n\n",
             std::thread::hardware_concurrency(), runs);
  row("what", "ratio", "bar");
  for (const Row& each : rows)
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), each.name) != wanted.end())
      each.measure();
  fs::remove_all(work);
  fs::remove_all(memory);
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::Words words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "--work") return bench::do_work(argv[2], argv[3]);
  try {
    if (words.size() >= 2 && words[0] == "-n") {
      bench::runs = std::max(1UL, std::stoul(words[1]));
      words.erase(words.begin(), words.begin() + 2);
    }
    return bench::measure(words);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
