// Prints the table of ratios. Each row compares two commands, which run alternately; the ratio is
// that of their medians.
//
//   bench [-n RUNS] [-b BINARY] [ROW… | --curves]
//
// RUNS: default 300. BINARY: default the memolock of the same build directory.
#include "bench/bench.hpp"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/crowd.hpp"

namespace bench {

namespace fs = std::filesystem;

RedisServer& Bench::redis() {
  if (!server) server = std::make_unique<RedisServer>(work / "redis");
  return *server;
}

Words Bench::get(const Words& options, const Words& command) const {
  return joined(joined(joined({memolock, "get"}, options), {"--"}), command);
}

void print_row(const std::string& what, const std::string& saw, const std::string& bar) {
  fmt::print("{:<62} {:>30}   {}\n", what, saw, bar);
  fflush(stdout);
}

void expect(bool truth, const std::string& what) {
  if (!truth) throw std::runtime_error(what);
}

std::string Ratio::text() const {
  return fmt::format("{:.2f}  ({:.2f} / {:.2f} ms)", a / b, a.count(), b.count());
}

std::string Ratio::peak() const { return fmt::format("{:.1f} MiB", double(peak_kib) / 1024); }

Ratio compare(size_t runs, const Words& a, const Words& b, To to,
              const std::function<void()>& before) {
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

namespace {

/// A new directory, removed with its content by the destructor.
class Folder {
 public:
  explicit Folder(const fs::path& where) : path_(where / "memolock-bench-XXXXXX") {
    expect(mkdtemp(path_.data()) != nullptr, "cannot make a directory in " + where.string());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The rows with these names; all rows if there are no names.
std::vector<Row> chosen(const Words& names) {
  std::vector<Row> all = local_rows();
  for (const Row& row : redis_rows()) all.push_back(row);
  if (names.empty()) return all;
  std::vector<Row> some;
  Words known;
  for (const Row& row : all) known.emplace_back(row.name);
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    expect(found != known.end(),
           fmt::format("no row '{}'; there are: {}", name, fmt::join(known, " ")));
    some.push_back(all[static_cast<size_t>(found - known.begin())]);
  }
  return some;
}

/// Creates a stripped copy, as `./dev install` does. The linker's own output is in the page cache
/// in small pieces, which are slower to map.
fs::path installed(const fs::path& built, const fs::path& directory) {
  fs::path copy = directory / built.filename();
  expect(run({"strip", "-o", copy, built}, To::dev_null).status == 0,
         "cannot copy " + built.string());
  return copy;
}

/// Sets up the directories and the environment, and calls `what` with them.
void measure(size_t runs, const fs::path& binary, const std::function<void(Bench&)>& what) {
  const Folder work(fs::temp_directory_path());
  const Folder memory("/dev/shm");
  Bench bench;
  bench.runs = runs;
  bench.self = fs::read_symlink("/proc/self/exe");
  bench.work = work.path();
  const fs::path built = bench.self.parent_path().parent_path() / "memolock";
  bench.memolock = installed(binary.empty() ? built : binary, bench.work);
  bench.memory = memory.path();
  setenv("MEMOLOCK_CACHE_DIR", (bench.work / "store").c_str(), 1);
  what(bench);
}

void print_table(Bench& bench, const std::vector<Row>& rows) {
  fmt::print("{} cores; medians of {} runs each, the two in turn\n\n",
             std::thread::hardware_concurrency(), bench.runs);
  print_row("what", "ratio", "bar");
  for (const Row& row : rows) row.measure(bench);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::Words words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "--work") return bench::do_work(argv[2], argv[3]);
  try {
    size_t runs = 300;
    std::string binary;
    while (words.size() >= 2 && (words[0] == "-n" || words[0] == "-b")) {
      if (words[0] == "-n") {
        runs = std::max(1UL, std::stoul(words[1]));
      } else {
        binary = words[1];
      }
      words.erase(words.begin(), words.begin() + 2);
    }
    if (words == bench::Words{"--curves"}) {
      bench::measure(runs, binary, bench::print_curves);
    } else {
      const std::vector<bench::Row> rows = bench::chosen(words);
      bench::measure(runs, binary, [&](bench::Bench& it) { bench::print_table(it, rows); });
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
