// Many concurrent callers of one entry.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/bench.hpp"

namespace bench {

/// The expensive command. Appends a line to `log` at its start and at its end. Returns its exit
/// status.
int do_work(const char* log, const char* milliseconds);

class Crowd {
 public:
  /// Starts `callers` callers of a command that takes `length`.
  Crowd(const Bench& bench, size_t callers, const Words& options, std::chrono::milliseconds length);

  /// Waits until the command runs. Returns the caller that started it.
  [[nodiscard]] pid_t await_holder() const;
  [[nodiscard]] const std::vector<pid_t>& callers() const { return callers_; }
  /// Kills a caller, which is then not counted as a failure.
  void kill(pid_t caller);

  /// Waits for all callers.
  void finish();

  // ---- after finish() ----
  [[nodiscard]] size_t failures() const { return failures_; }
  [[nodiscard]] size_t runs() const { return times("begin").size(); }
  /// The start time of the nth run of the command, counted from 0, on the clock of now().
  [[nodiscard]] Milliseconds begun(size_t nth) const { return times("begin").at(nth); }
  /// The time from the first end of the command to the end of the last caller.
  [[nodiscard]] Milliseconds lag() const { return done_ - times("end").at(0); }

 private:
  [[nodiscard]] std::vector<Milliseconds> times(const std::string& what) const;

  std::filesystem::path log_;
  std::vector<pid_t> callers_;
  pid_t killed_ = 0;
  size_t failures_ = 0;
  Milliseconds done_{0};
};

/// The results of several crowds, with one measured time for each.
class CrowdRow {
 public:
  void add(const Crowd& crowd, Milliseconds time);
  /// Prints the largest number of runs in a crowd, and the failures of all crowds.
  void print(const std::string& what, const std::string& bar) const;
  /// Prints the median and the longest of the times.
  void print_times(const std::string& what, const std::string& bar) const;

 private:
  size_t most_runs_ = 0;
  size_t failures_ = 0;
  std::vector<Milliseconds> times_;
};

/// Sleeps until `condition` holds.
void await(const std::function<bool()>& condition);

}  // namespace bench
