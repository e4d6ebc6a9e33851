#include "src/promise/run_messages.hpp"

#include <cstring>

#include <fmt/format.h>

#include "src/entry/freshness.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// `status` is 128 plus the number of the signal.
std::string describe_signal(int status) {
  const int signal = exit_status::signal_of(status);
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("was killed by signal {}", signal)
                         : fmt::format("was killed by signal {} ({})", name, signal);
}

}  // namespace

std::vector<std::string> describe_warnings(const Request& request, const RunResult& ending) {
  std::vector<std::string> warnings;
  if (ending.exit_kind == ExitKind::timed_out) {
    warnings.push_back(fmt::format("the command was stopped after --max-runtime {}",
                                   format_duration(*request.max_runtime)));
  } else if (ending.stopped_on_request && ending.interrupt_signal == 0) {
    warnings.emplace_back("the command was stopped: its lease could not be renewed");
  }
  if (!ending.left_running.empty())
    warnings.push_back("still running, could not be killed: " + ending.left_running);
  return warnings;
}

std::string describe_failure(const RunResult& ending) {
  if (ending.interrupt_signal != 0 || ending.stopped_on_request || ending.unknown) return "";
  if (ending.exit_kind == ExitKind::exited && ending.status != 0)
    return fmt::format("the command exited with status {}", ending.status);
  if (ending.exit_kind != ExitKind::signaled) return "";
  return "the command " + describe_signal(ending.status);
}

std::string describe_failure(const Record& record) {
  return record.exit_kind == ExitKind::signaled
             ? describe_signal(record.status)
             : fmt::format("failed with status {}", record.status);
}

std::string describe_storage(const Record& record) {
  if (record.ttl == forever) return "stored without an expiry";
  return "stored for " + format_duration(record.ttl);
}

std::string describe_age(const Record& record, Nanoseconds now) {
  if (record.foreign) return "stored by another program";
  const auto age = age_of(record, now);
  return age ? format_duration(*age) + " old" : "dated in the future";
}

}  // namespace memolock
