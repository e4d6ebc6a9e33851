// Callers that all want the same thing at once.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/bench.hpp"

namespace bench {

/// The expensive command: says in a line of `log` each when it begins and ends. Returns its status.
int do_work(const char* log, const char* milliseconds);

class Crowd {
 public:
  /// Starts so many callers of a command that takes `length`.
  Crowd(const Bench& bench, size_t callers, const Words& options, std::chrono::milliseconds length);

  /// The caller whose command runs, once one does.
  [[nodiscard]] pid_t await_holder() const;
  [[nodiscard]] const std::vector<pid_t>& callers() const { return callers_; }
  /// Kills one of them, who is not counted as a failure.
  void kill(pid_t caller);

  /// Waits for all of them.
  void finish();

  // ---- and then ----
  [[nodiscard]] size_t failures() const { return failures_; }
  [[nodiscard]] size_t runs() const { return times("begin").size(); }
  /// When the command began for the nth time, from 0; as of `now`.
  [[nodiscard]] Milliseconds begun(size_t nth) const { return times("begin").at(nth); }
  /// From the first end of the command to that of the last caller.
  [[nodiscard]] Milliseconds lag() const { return done_ - times("end").at(0); }

 private:
  [[nodiscard]] std::vector<Milliseconds> times(const std::string& what) const;

  std::filesystem::path log_;
  std::vector<pid_t> callers_;
  pid_t killed_ = 0;
  size_t failures_ = 0;
  Milliseconds done_{0};
};

/// Several crowds, and of each a time that matters.
class CrowdRow {
 public:
  void add(const Crowd& crowd, Milliseconds time);
  /// Of all crowds the most runs, and all failures.
  void print(const std::string& what, const std::string& bar) const;
  /// The median, and the longest.
  void print_times(const std::string& what, const std::string& bar) const;

 private:
  size_t most_runs_ = 0;
  size_t failures_ = 0;
  std::vector<Milliseconds> times_;
};

/// Sleeps until `condition` holds.
void await(const std::function<bool()>& condition);

}  // namespace bench
