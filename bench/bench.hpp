// What the rows of the table share: the commands, how two of them are compared, and how a row
// looks.
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
  std::filesystem::path self;      ///< this binary, which is also the command of crowds
  std::filesystem::path memolock;  ///< the binary under test
  std::filesystem::path work;      ///< a folder on a disk; the local store is in it
  std::filesystem::path memory;    ///< a folder in memory
  std::unique_ptr<RedisServer> server;

  /// The server, started when it is first asked for.
  RedisServer& redis();

  /// So many runs where one takes long.
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

/// Prints how costs grow, a line "SERIES,X,Y" each.
void print_curves(Bench& bench);

void print_row(const std::string& what, const std::string& saw, const std::string& bar);

void expect(bool truth, const std::string& what);

/// Medians of two commands' times; the peak is that of `a`.
struct Ratio {
  Milliseconds a{0}, b{0};
  long peak_kib = 0;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string peak() const;
};

/// Runs `a` and `b` in turn, `runs` times each; `before` before each.
Ratio compare(
    size_t runs, const Words& a, const Words& b, To to,
    const std::function<void()>& before = [] {});

}  // namespace bench
