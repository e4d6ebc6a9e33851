#include "src/promise/run.hpp"

#include <cstring>

#include <fmt/format.h>

#include "src/command/environment.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// `status` as a shell gives it.
std::string signal_in_words(int status) {
  const int signal = exit_status::signal_of(status);
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("was ended by signal {}", signal)
                         : fmt::format("was ended by signal {} ({})", name, signal);
}

}  // namespace

Record record_of_run(const Request& request, const Lock& lock, Nanoseconds now) {
  Record record;
  record.key = request.key;
  record.token = lock.token();
  record.holder = this_process();
  record.command = request.command;
  record.begun = now;
  record.artifacts = request.artifacts;
  record.producer = request.producer;
  return record;
}

CommandSpec command_spec(const Request& request, Lock& lock, const std::string& control) {
  CommandSpec launch{request.command,
                     environment_for({request.key, lock.token(), request.store_url,
                                      request.promise_url, control, request.held}),
                     request.max_runtime, request.input};
  launch.drain = request.drain;
  launch.on_long_run = [&lock] { (void)lock.arm_keepalive(); };
  if (request.on_lost_lease == OnLostLease::kill) launch.stop_descriptor = lock.lost_descriptor();
  return launch;
}

Outcome run_uncached(const Request& request, Signals& signals, const Log& log) {
  Command command(
      {request.command, environment_for({request.key, "", "", "", "/dev/null", request.held}),
       request.max_runtime, request.input},
      signals);
  command.start_plain();
  const RunResult ending = command.finish();
  Outcome outcome = make_outcome(OutcomeKind::bypass, ending.status);
  outcome.run_time = ending.run_time;
  note_interruption(outcome, ending);
  (void)failure_of([&] {
    for (const std::string& warning : warnings_about(request, ending))
      log.warn("{}: {}", request.key.shown(), warning);
    if (log.is_enabled(Level::info))
      if (const std::string failure = describe_failure(ending); !failure.empty())
        log.info("{}: {}", request.key.shown(), failure);
    if (ending.interrupted != 0) log.info("{}: interrupted", request.key.shown());
  });
  return outcome;
}

std::vector<std::string> warnings_about(const Request& request, const RunResult& ending) {
  std::vector<std::string> warnings;
  if (ending.exit_kind == ExitKind::timed_out) {
    warnings.push_back(fmt::format("the command was stopped: --max-runtime {} has passed",
                                   format_duration(*request.max_runtime)));
  } else if (ending.stopped && ending.interrupted == 0) {
    warnings.emplace_back("the command was stopped: its lease could not be renewed");
  }
  if (!ending.left_running.empty())
    warnings.push_back("still running, could not be killed: " + ending.left_running);
  return warnings;
}

std::string describe_failure(const RunResult& ending) {
  if (ending.interrupted != 0 || ending.stopped || ending.unknown) return "";
  if (ending.exit_kind == ExitKind::exited && ending.status != 0)
    return fmt::format("the command exited with status {}", ending.status);
  if (ending.exit_kind != ExitKind::signaled) return "";
  return "the command " + signal_in_words(ending.status);
}

std::string describe_failure(const Record& record) {
  return record.exit_kind == ExitKind::signaled
             ? signal_in_words(record.status)
             : fmt::format("failed with status {}", record.status);
}

void note_interruption(Outcome& outcome, const RunResult& ending) noexcept {
  if (ending.interrupted == 0) return;
  outcome.kind = OutcomeKind::interrupted;
  if (ending.exit_kind == ExitKind::signaled &&
      ending.status == exit_status::of_signal(ending.interrupted))
    outcome.signal = ending.interrupted;
}

Outcome end_by_signal(Signals& signals) noexcept {
  const auto received = signals.next();
  const int signal = received ? received->number : 0;
  return make_outcome(OutcomeKind::interrupted, exit_status::of_signal(signal), signal);
}

}  // namespace memolock
