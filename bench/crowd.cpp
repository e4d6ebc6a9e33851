#include "bench/crowd.hpp"

#include <signal.h>

#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

namespace bench {
namespace {

namespace fs = std::filesystem;

pid_t parent_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string skipped;
  pid_t parent = 0;
  file >> skipped >> skipped >> skipped >> parent;
  return parent;
}

/// The pid in the first line of a log; 0 if the line is not complete yet.
pid_t first_worker(const fs::path& log) {
  std::ifstream file(log);
  pid_t pid = 0;
  std::string rest;
  return file >> pid && std::getline(file, rest) && !file.eof() ? pid : 0;
}

}  // namespace

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

void await(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Crowd::Crowd(const Bench& bench, size_t callers, const Words& options,
             std::chrono::milliseconds length)
    : log_(bench.work / "log") {
  static const int dev_null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  fs::remove(log_);
  const Words call = bench.get(options,
                               {bench.self, "--work", log_, std::to_string(length.count())});
  for (size_t i = 0; i < callers; ++i) callers_.push_back(start(call, dev_null));
}

pid_t Crowd::await_holder() const {
  pid_t worker = 0;
  await([&] { return (worker = first_worker(log_)) != 0; });
  return parent_of(worker);
}

void Crowd::kill(pid_t caller) {
  killed_ = caller;
  ::kill(caller, SIGKILL);
}

void Crowd::finish() {
  for (const pid_t pid : callers_)
    if (bench::finish(pid, now()).status != 0 && pid != killed_) ++failures_;
  done_ = now();
}

/// The times in the log's lines of one kind. A line is "PID KIND TIME".
std::vector<Milliseconds> Crowd::times(const std::string& what) const {
  std::ifstream file(log_);
  std::vector<Milliseconds> times;
  pid_t pid = 0;
  std::string kind;
  double time = 0;
  while (file >> pid >> kind >> time)
    if (kind == what) times.emplace_back(time);
  return times;
}

void CrowdRow::add(const Crowd& crowd, Milliseconds time) {
  most_runs_ = std::max(most_runs_, crowd.runs());
  failures_ += crowd.failures();
  times_.push_back(time);
}

void CrowdRow::print(const std::string& what, const std::string& bar) const {
  print_row(what + ": most runs; failed", fmt::format("{}; {}", most_runs_, failures_), bar);
}

void CrowdRow::print_times(const std::string& what, const std::string& bar) const {
  const Milliseconds longest = *std::max_element(times_.begin(), times_.end());
  print_row("  " + what,
            fmt::format("{:.1f}  (at most {:.1f}) ms", median(times_).count(), longest.count()),
            bar);
}

}  // namespace bench
