#include "src/promise/start_run.hpp"

#include "src/command/environment.hpp"
#include "src/promise/run_messages.hpp"
#include "src/system/exit_status.hpp"

namespace memolock {

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
  CommandSpec spec{request.command,
                   environment_for({request.key, lock.token(), request.store_url,
                                    request.promise_url, control, request.held}),
                   request.max_runtime, request.input};
  spec.drain = request.drain;
  spec.on_long_run = [&lock] { (void)lock.arm_keepalive(); };
  if (request.on_lost_lease == OnLostLease::kill)
    spec.stop_descriptor = lock.lease_lost_descriptor();
  return spec;
}

Outcome run_uncached(const Request& request, Signals& signals, const Log& log,
                     ProcessLauncher& launcher) {
  const auto command = launcher.prepare(
      {request.command, environment_for({request.key, "", "", "", "/dev/null", request.held}),
       request.max_runtime, request.input},
      signals);
  command->start_plain();
  const RunResult ending = command->finish(nullptr);
  Outcome outcome = make_outcome(OutcomeKind::bypass, ending.status);
  outcome.run_time = ending.run_time;
  apply_interruption(outcome, ending);
  (void)failure_of([&] {
    for (const std::string& warning : describe_warnings(request, ending))
      log.warn("{}: {}", request.key.shown(), warning);
    if (log.is_enabled(Level::info))
      if (const std::string failure = describe_failure(ending); !failure.empty())
        log.info("{}: {}", request.key.shown(), failure);
    if (ending.interrupt_signal != 0) log.info("{}: interrupted", request.key.shown());
  });
  return outcome;
}

void apply_interruption(Outcome& outcome, const RunResult& ending) noexcept {
  if (ending.interrupt_signal == 0) return;
  outcome.kind = OutcomeKind::interrupted;
  if (ending.exit_kind == ExitKind::signaled &&
      ending.status == exit_status::of_signal(ending.interrupt_signal))
    outcome.signal = ending.interrupt_signal;
}

Outcome outcome_of_signal(Signals& signals) noexcept {
  const auto received = signals.next();
  const int signal = received ? received->number : 0;
  return make_outcome(OutcomeKind::interrupted, exit_status::of_signal(signal), signal);
}

}  // namespace memolock
