// The rows of the local store.
#include <fstream>

#include <fmt/format.h>

#include "bench/crowd.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

void store_entry(const Bench& bench, const std::string& id, const std::string& size) {
  const Words words = bench.get({"--tag", "b", "--id", id, "--ttl", "forever", "--max-entry", "2G"},
                                {"head", "-c", size, "/dev/zero"});
  expect(run(words, To::dev_null).status == 0, "cannot store an entry");
}

Words hit(const Bench& bench, const std::string& tag, const std::string& id) {
  return bench.get({"--tag", tag, "--id", id, "--ttl", "forever"}, {"false"});
}

fs::path file_of(const Bench& bench, const std::string& size) {
  fs::path path = bench.work / ("file-" + size);
  run({"sh", "-c", "head -c \"$1\" /dev/zero >\"$2\"", "sh", size, path}, To::dev_null);
  return path;
}

void hit_small(Bench& bench) {
  store_entry(bench, "100", "100");
  print_row("hit, 100 bytes / true",
            compare(bench.runs, hit(bench, "b", "100"), {"/bin/true"}, To::dev_null).text(), "1.2");
}

void hit_mebibyte(Bench& bench) {
  store_entry(bench, "1M", "1048576");
  const Words cat{"cat", file_of(bench, "1048576")};
  print_row("hit, 1 MiB / cat of a file",
            compare(bench.runs, hit(bench, "b", "1M"), cat, To::dev_null).text(), "1.2");
}

void hit_gibibyte(Bench& bench) {
  store_entry(bench, "1G", "1073741824");
  const fs::path file = file_of(bench, "1073741824");
  print_row(
      "hit, 1 GiB into a pipe / cat of a file into it",
      compare(bench.fewer(5, 1), hit(bench, "b", "1G"), {"cat", file}, To::splicing_reader).text(),
      "0.7");
  fs::remove(file);
  run({bench.memolock, "del", "--tag", "b", "--id", "1G"}, To::dev_null);
}

void key_gibibyte(Bench& bench) {
  const fs::path file = file_of(bench, "1073741824");
  const Ratio ratio = compare(bench.fewer(5, 1),
                              {bench.memolock, "key", "--id", "x", "--key-file", file},
                              {"b2sum", file}, To::dev_null);
  print_row("key of a file of 1 GiB / b2sum", ratio.text(), "2.0");
  print_row("  its peak resident memory", ratio.peak(), "16 MiB");
  fs::remove(file);
}

Words miss(const Bench& bench) {
  return bench.get({"--tag", "b", "--id", "miss", "--ttl", "0"}, {"/bin/true"});
}

void miss_true(Bench& bench) {
  print_row("miss with true / true",
            compare(bench.runs, miss(bench), {"/bin/true"}, To::dev_null).text(), "2.5");
}

void miss_flock(Bench& bench) {
  const Words flock{"flock", bench.work / "lock", "/bin/true"};
  print_row("miss with true / flock FILE true",
            compare(bench.runs, miss(bench), flock, To::dev_null).text(), "1.1");
}

void miss_gibibyte(Bench& bench) {
  const Words miss = bench.get(
      {"--store", "file://" + bench.memory.string(), "--id", "m", "--ttl", "1h"},
      {"head", "-c", "1073741824", "/dev/zero"});
  const Words tee{"sh", "-c", "head -c 1073741824 /dev/zero | tee \"$1\" >/dev/null", "sh",
                  bench.memory / "tee"};
  const Ratio ratio = compare(bench.fewer(5, 1), miss, tee, To::dev_null, [&] {
    fs::remove_all(bench.memory / "default");
    fs::remove(bench.memory / "tee");
  });
  print_row("miss, 1 GiB through, in memory / tee FILE", ratio.text(), "1.2");
  print_row("  its peak resident memory", ratio.peak(), "16 MiB");
}

Crowd gather(const Bench& bench, size_t callers, std::chrono::milliseconds length) {
  run({bench.memolock, "del", "--tag", "b", "--id", "crowd"}, To::dev_null);
  return {bench, callers, {"--tag", "b", "--id", "crowd", "--ttl", "1h"}, length};
}

void crowd(const Bench& bench, size_t callers, const std::string& bar) {
  CrowdRow row;
  for (size_t i = 0; i < bench.fewer(30, 1); ++i) {
    Crowd crowd = gather(bench, callers, std::chrono::seconds(1));
    crowd.finish();
    row.add(crowd, crowd.lag());
  }
  row.print(fmt::format("{} callers of 1 s", callers), "1; 0");
  row.print_times("last caller after the command's end", bar);
}

/// Whether this memolock process is waiting for the run of another process: if so, it has the FIFO
/// of the run open.
bool is_waiting(pid_t pid) {
  std::error_code gone;
  for (const auto& each : fs::directory_iterator(fmt::format("/proc/{}/fd", pid)))
    if (fs::read_symlink(each, gone).extension() == ".wake") return true;
  return false;
}

void killed_500(Bench& bench) {
  CrowdRow row;
  for (size_t i = 0; i < bench.fewer(30, 1); ++i) {
    Crowd crowd = gather(bench, 500, std::chrono::seconds(3));
    const pid_t holder = crowd.await_holder();
    // All callers must be waiting for the holder before it dies.
    for (const pid_t pid : crowd.callers()) await([&] { return pid == holder || is_waiting(pid); });
    const Milliseconds killed = now();
    crowd.kill(holder);
    crowd.finish();
    row.add(crowd, crowd.begun(1) - killed);
  }
  row.print("500 callers of 3 s, holder killed", "2; 0");
  row.print_times("take-over after", "100 ms");
}

void crowd_100(Bench& bench) { crowd(bench, 100, "15 ms"); }
void crowd_500(Bench& bench) { crowd(bench, 500, ""); }

/// Each entry is created by a run, because a copy of an entry under another name would be treated
/// as foreign.
void fill(const Bench& bench, const std::string& tag, size_t count) {
  constexpr const char* script = R"(
    part() {
      i=$1
      while [ "$i" -le "$4" ]; do
        "$2" get --tag "$3" --id "id-$i" --ttl forever -- echo "$i"
        i=$((i + 2))
      done
    }
    part 1 "$@" & part 2 "$@" & wait)";
  run({"sh", "-c", script, "sh", bench.memolock, tag, std::to_string(count)}, To::dev_null);
}

/// Stores 100 000 entries of the tag "many" and 10 000 of "tenth", unless they exist.
void fill(const Bench& bench) {
  constexpr size_t many = 100000;
  if (run(hit(bench, "many", "id-1"), To::dev_null).status == 0) return;
  fill(bench, "tenth", many / 10);
  fill(bench, "many", many);
}

void many_hit(Bench& bench) {
  fill(bench);
  store_entry(bench, "one", "100");
  print_row(
      "hit among 100 000 entries / hit in a store of one",
      compare(bench.runs, hit(bench, "many", "id-77777"), hit(bench, "b", "one"), To::dev_null)
          .text(),
      "1.0");
}

void many_ls(Bench& bench) {
  fill(bench);
  const Words ls{bench.memolock, "ls", "--tag"};
  const auto of = [&](const char* tag) {
    Words words = ls;
    words.emplace_back(tag);
    return words;
  };
  print_row("ls of 100 000 entries / of 10 000",
            compare(bench.fewer(30, 3), of("many"), of("tenth"), To::dev_null).text(),
            "10 (linear)");
}

void many_del(Bench& bench) {
  fill(bench);
  const Finished tenth = run({bench.memolock, "del", "--tag", "tenth", "--all"}, To::dev_null);
  const Finished whole = run({bench.memolock, "del", "--tag", "many", "--all"}, To::dev_null);
  print_row("del of 100 000 entries / of 10 000, once",
            fmt::format("{:.2f}  ({:.0f} / {:.0f} ms)", whole.wall / tenth.wall, whole.wall.count(),
                        tenth.wall.count()),
            "10 (linear)");
}

/// Compares with tar: a directory of 2 000 text files of 50 KiB, in the working directory.
void artifacts(Bench& bench) {
  constexpr const char* make = R"(
    mkdir -p tree && cd tree && seq 1000000 19000000 | sed 's/$/ a line/' | head -c 104857600 |
      split -b 52429 -a 4 -d)";
  fs::current_path(bench.work);
  const Words options{"--tag", "b", "--id", "tree", "--ttl", "forever", "--artifact", "tree"};
  expect(run(bench.get(options, {"sh", "-c", make}), To::dev_null).status == 0,
         "cannot store an entry");
  expect(run({"tar", "--zstd", "-cf", "tree.tar.zst", "tree"}, To::dev_null).status == 0,
         "cannot make an archive");
  const Ratio ratio = compare(bench.fewer(10, 20), bench.get(options, {"false"}),
                              {"tar", "--zstd", "-xf", "tree.tar.zst"}, To::dev_null,
                              [] { fs::remove_all("tree"); });
  print_row("hit that restores 100 MiB in 2 000 files / tar --zstd -x", ratio.text(), "1.5");
  print_row("  its peak resident memory", ratio.peak(), "16 MiB");
}

}  // namespace

std::vector<Row> local_rows() {
  return {{"hit-small", hit_small},       {"hit-mebibyte", hit_mebibyte},
          {"hit-gibibyte", hit_gibibyte}, {"miss-true", miss_true},
          {"miss-flock", miss_flock},     {"miss-gibibyte", miss_gibibyte},
          {"crowd-100", crowd_100},       {"crowd-500", crowd_500},
          {"killed-500", killed_500},     {"many-hit", many_hit},
          {"many-ls", many_ls},           {"many-del", many_del},
          {"key-gibibyte", key_gibibyte}, {"artifacts", artifacts}};
}

}  // namespace bench
