// The functions that all rows of the table use: they build commands, compare two of them, and print
// a row.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/process.hpp"
#include "bench/redis_server.hpp"

namespace bench {

struct Bench {
  size_t runs = 300;
  std::filesystem::path self;      ///< this binary, which is also the command that crowds run
  std::filesystem::path memolock;  ///< the binary under test
  std::filesystem::path work;      ///< a directory on a disk, which contains the local store
  std::filesystem::path memory;    ///< a directory in memory
  std::unique_ptr<RedisServer> server;

  /// The server, which the first call starts.
  RedisServer& redis();

  /// The number of runs if each run takes long.
  [[nodiscard]] size_t fewer(size_t divisor, size_t least) const {
    return std::max(runs / divisor, least);
  }

  /// `memolock get OPTIONS -- COMMAND`
  [[nodiscard]] Words get(const Words& options, const Words& command) const;
};

struct Row {
  const char* name;
  void (*measure)(Bench&);
};
std::vector<Row> local_rows();
std::vector<Row> redis_rows();

/// Prints how costs grow, as lines "SERIES,X,Y".
void print_curves(Bench& bench);

void print_row(const std::string& what, const std::string& saw, const std::string& bar);

void expect(bool truth, const std::string& what);

/// The medians of two commands' times, and the peak memory of the first.
struct Ratio {
  Milliseconds a{0}, b{0};
  long peak_kib = 0;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string peak() const;
};

/// Runs `a` and `b` alternately, `runs` times each. Calls `before` before each run.
Ratio compare(
    size_t runs, const Words& a, const Words& b, To to,
    const std::function<void()>& before = [] {});

}  // namespace bench
