#include "src/promise/holder_run.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "src/artifacts/pack.hpp"
#include "src/entry/freshness.hpp"
#include "src/promise/replay.hpp"
#include "src/promise/run_messages.hpp"
#include "src/promise/start_run.hpp"
#include "src/promise/wait_notice.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/random.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

// How long readers may take to read the output of a command that was stopped.
constexpr std::chrono::seconds drain_after_stop{2};

std::string describe_promise(const Record& record) {
  return record.succeeded() ? "the result was set"
                            : fmt::format("the promise failed with status {}", record.status);
}

bool failed(const RunResult& ending) {
  return ending.exit_kind != ExitKind::exited || ending.status != 0;
}

}  // namespace

Outcome HolderRun::run(Lock& lock, uint32_t transient_failures, std::unique_ptr<Entry> fallback) {
  Record record = record_of_run(call_.request, lock, call_.store.now());
  record.transient_failures = transient_failures;
  lock.begin(record);
  // Without `keep`, an earlier message has already said that the store is not used.
  if (call_.request.keep) call_.log.info("{}: running the command", call_.request.key.shown());
  const std::string control = call_.request.keep ? control_.make() : "/dev/null";
  CommandSpec spec = command_spec(call_.request, lock, control);
  spec.cleanup = control_.cleanup();
  const bool external = call_.request.producer == Producer::external;
  spec.defer_stdout = fallback != nullptr;
  if (external) {
    spec.out = STDERR_FILENO;  // the output of this command is not part of the result
    // Stopping the command would not stop the work, which is done elsewhere.
    spec.stop_descriptor = -1;
  }
  const auto command = call_.launcher.prepare(std::move(spec), call_.signals);
  if (external) {
    command->start_plain();
    return run_external(lock, record, *command);
  }
  const auto spool = lock.spool();
  spool->limit(call_.request.max_entry);
  command->start_spooled(spool);
  Outcome outcome = finish_run(lock, record, *command, *spool, fallback.get());
  forward_late_output(*command, outcome);
  return outcome;
}

/// Publishes the result of a command that has started, and delivers its output.
Outcome HolderRun::finish_run(Lock& lock, Record& record, CommandRun& command, Spool& spool,
                              Entry* fallback) noexcept {
  Outcome outcome;
  outcome.kind = OutcomeKind::miss;
  const RunResult ending = command.finish([&] {
    record.disposition = Disposition::unstored;
    (void)failure_of([&] { set_not_stored(spool.why_refused(), outcome); });
    (void)publish(lock, record, outcome);  // a signal ends the command, which is still running
  });
  outcome.status = ending.status;
  outcome.run_time = ending.run_time;
  defer_warnings(ending);
  OutputSource source = OutputSource::command;
  if (auto failure = failure_of(
          [&] { source = publish_outcome(lock, record, ending, spool, fallback, outcome); })) {
    lock.abandon();
    set_not_stored(std::move(*failure), outcome);
  }
  if (source == OutputSource::command) defer_failure(ending, record, outcome);
  if (source == OutputSource::fallback) return serve_fallback(command, ending, *fallback);
  if (source == OutputSource::interrupted) return end_interrupted(lock, command, ending.run_time);
  command.release_stdout();
  return deliver_output(command, ending, std::move(outcome));
}

/// Ends the run for the waiters, and releases the lock.
HolderRun::OutputSource HolderRun::publish_outcome(Lock& lock, Record& record,
                                                   const RunResult& ending, Spool& spool,
                                                   Entry* fallback, Outcome& outcome) {
  if (ending.interrupt_signal != 0) {
    abandon_interrupted(lock);
    return OutputSource::command;
  }
  if (ending.stopped_on_request) {
    lock.abandon();
    return OutputSource::command;
  }
  if (ending.unknown) {
    lock.abandon();
    defer_message(Level::warn, "not stored: the exit status of the command is unknown");
    return OutputSource::command;
  }
  if (record.disposition == Disposition::unstored) return OutputSource::command;
  complete_record(record, ending, spool, control_.read_and_remove());
  if (!pack_artifacts(lock, record, spool, outcome)) return OutputSource::interrupted;
  if (!publish(lock, record, outcome)) return OutputSource::interrupted;
  const bool instead = fallback != nullptr && failed(ending) && restore_fallback(*fallback);
  return instead ? OutputSource::fallback : OutputSource::command;
}

void HolderRun::defer_warnings(const RunResult& ending) noexcept {
  (void)failure_of([&] {
    for (std::string& warning : describe_warnings(call_.request, ending))
      deferred_messages_.emplace_back(Level::warn, std::move(warning));
  });
}

/// Reports a failed command with -v, and that its result was not stored unless another message says
/// so.
void HolderRun::defer_failure(const RunResult& ending, const Record& record,
                              const Outcome& outcome) noexcept {
  if (!call_.log.is_enabled(Level::info)) return;
  (void)failure_of([&] {
    const std::string failure = describe_failure(ending);
    if (failure.empty()) return;
    if (outcome.stored) {
      defer_message(Level::info, "{}; {}", failure, describe_storage(record));
    } else {
      const bool reported = std::any_of(
          deferred_messages_.begin(), deferred_messages_.end(),
          [](const auto& message) { return message.second.starts_with("not stored"); });
      defer_message(Level::info, "{}{}", failure, reported ? "" : "; not stored");
    }
  });
}

void HolderRun::abandon_interrupted(Lock& lock) noexcept {
  lock.abandon_quickly();
  defer_message(Level::info, "interrupted; nothing was stored");
}

/// Ends a call that was interrupted by a signal after its command had ended, while the result was
/// packed or stored.
Outcome HolderRun::end_interrupted(Lock& lock, CommandRun& command, Nanoseconds run_time) noexcept {
  abandon_interrupted(lock);
  command.release_stdout();
  Outcome outcome = outcome_of_signal(call_.signals);
  outcome.run_time = run_time;
  outcome.output_error = command.drain(drain_after_stop).error;
  return log_deferred_messages(std::move(outcome));
}

/// Serves an older entry in place of the stdout of a failed command. The stderr of the command is
/// delivered too, and comes first.
Outcome HolderRun::serve_fallback(CommandRun& command, const RunResult& ending,
                                  Entry& fallback) noexcept {
  const auto age = [&] { return describe_age(fallback.record(), call_.store.now()); };
  (void)failure_of([&] {
    const std::string failure = describe_failure(ending);  // empty if a warning gives the reason
    defer_message(Level::warn, "{}{}served the stored entry ({})", failure,
                  failure.empty() ? "" : "; ", age());
  });
  Outcome outcome = replay(fallback, OutcomeKind::stale, call_.store, call_.signals,
                           [&] { return command.drain(forever).error; });
  outcome.fell_back_to_stale = true;
  return log_deferred_messages(std::move(outcome));
}

/// Runs a command that only starts the work, and waits for the result.
Outcome HolderRun::run_external(Lock& lock, Record& record, CommandRun& command) noexcept {
  const RunResult ending = command.finish(nullptr);
  Outcome outcome = make_outcome(OutcomeKind::miss, ending.status);
  outcome.run_time = ending.run_time;
  defer_warnings(ending);
  if (ending.interrupt_signal != 0) {
    abandon_interrupted(lock);
    apply_interruption(outcome, ending);
    return log_deferred_messages(std::move(outcome));
  }
  auto failure = failure_of([&] {
    complete_record(record, ending, *lock.spool(), control_.read_and_remove());
    defer_failure(ending, record, outcome);
    outcome = until_interrupted(call_.signals,
                                [&] { return await_external(lock, record, outcome); });
  });
  if (outcome.kind == OutcomeKind::interrupted) {
    lock.abandon_quickly();
    defer_message(Level::info, "interrupted; the promise was released");
    return log_deferred_messages(std::move(outcome));
  }
  if (!failure) return outcome;
  // The work has been started and must not be started again, but its result cannot be obtained.
  lock.abandon();
  outcome.kind = OutcomeKind::error;
  if (outcome.status == 0) outcome.status = exit_status::own_error;
  defer_message(Level::warn, "lost the promise: {}", *failure);
  outcome.store_error = std::move(*failure);
  return log_deferred_messages(std::move(outcome));
}

/// Waits until the promise is completed or expires; a command that has failed ends the run
/// immediately. Throws Error(store).
Outcome HolderRun::await_external(Lock& lock, Record& record, Outcome outcome) {
  record.disposition = Disposition::shared;
  if (!record.succeeded()) {
    if (!publish(lock, record, outcome)) return outcome_of_signal(call_.signals);
    return log_deferred_messages(std::move(outcome));
  }
  call_.log.info("{}: started; waiting for the result", call_.request.key.shown());
  WaitResult woken;
  {
    // Destroyed before the output is replayed, to clear its line. The lease bounds the wait.
    WaitNotice notice(call_.request.key, call_.log, WaitNotice::HasTimeout::yes);
    notice.begin(record, call_.store.now(), std::nullopt);
    woken = lock.await_promise(call_.request.lease, call_.signals.descriptor(), notice);
  }
  switch (woken.reason) {
    case WakeReason::interrupted:
      return outcome_of_signal(call_.signals);
    case WakeReason::answered:
      lock.abandon();
      (void)failure_of([&] {
        call_.log.info("{}: {}", call_.request.key.shown(),
                       describe_promise(woken.answer->record()));
      });
      return replay(*woken.answer, OutcomeKind::miss, call_.store, call_.signals);
    case WakeReason::gone:
    case WakeReason::timed_out:
      break;
  }
  return expire_promise(lock, record, std::move(outcome));
}

/// The promise was not completed in time. For this call and for the waiters, this is a failure.
Outcome HolderRun::expire_promise(Lock& lock, Record& record, Outcome outcome) noexcept {
  record.exit_kind = ExitKind::timed_out;
  record.status = outcome.status = exit_status::timed_out;
  (void)failure_of([&] { record.ended = call_.store.now(); });
  record.run_time = record.ended - record.begun;
  outcome.kind = OutcomeKind::timeout;
  if (!publish(lock, record, outcome)) return outcome_of_signal(call_.signals);
  (void)failure_of([&] {
    call_.log.warn("{}: no result was set within {}", call_.request.key.shown(),
                   format_duration(call_.request.lease));
  });
  return log_deferred_messages(std::move(outcome));
}

/// Sets the fields that are known after the run.
void HolderRun::complete_record(Record& record, const RunResult& ending, const Spool& spool,
                                const Control& control) {
  record.exit_kind = ending.exit_kind;
  record.status = ending.status;
  record.begun = ending.begun;
  record.ended = ending.ended;
  record.run_time = ending.run_time;
  record.out_size = spool.size(Stream::out);
  record.err_size = spool.size(Stream::err);
  record.out_hash = spool.hash(Stream::out);
  record.err_hash = spool.hash(Stream::err);
  record.transient_failures = record.is_transient_failure() ? record.transient_failures + 1 : 0;
  record.ttl_by_command = control.ttl.has_value();
  record.stale_by_command = control.stale.has_value();
  record.stale = control.stale.value_or(Nanoseconds(0));
  if (!control.error.empty()) defer_message(Level::warn, "not stored: {}", control.error);
  decide_disposition(record, control);
  if (control.missing.empty() || record.disposition == Disposition::shared) return;
  // Without the control file, the command could not request that its result not be stored.
  record.disposition = Disposition::shared;
  if (call_.request.producer == Producer::command)
    defer_message(Level::warn, "not stored: {}", control.missing);
}

/// Packs the artifacts of a successful run. If that fails, the result is not shared: waiters run
/// the command themselves. Returns false if interrupted by a signal.
bool HolderRun::pack_artifacts(Lock& lock, Record& record, Spool& spool, Outcome& outcome) {
  if (call_.request.artifacts.empty() || !record.succeeded()) return true;
  const auto fault = pack(call_.request.artifacts, spool, call_.signals.descriptor(),
                          lock.arm_keepalive());
  if (!fault) return false;
  record.files_size = spool.size(Stream::files);
  record.files_hash = spool.hash(Stream::files);
  if (fault->empty()) return true;
  record.disposition = Disposition::unstored;
  set_not_stored(*fault, outcome);
  return true;
}

/// Returns false if the artifacts cannot be restored; the entry is not served then.
bool HolderRun::restore_fallback(Entry& fallback) noexcept {
  const auto failure = failure_of([&] {
    try {
      restore_artifacts(call_.request, fallback, call_.signals);
    } catch (const Error& error) {
      if (error.kind() == Error::Kind::store) defer_message(Level::warn, "{}", error.what());
      throw;
    }
  });
  return !failure;
}

/// Decides whether the result is stored, and for how long.
void HolderRun::decide_disposition(Record& record, const Control& control) {
  const bool may_keep = call_.request.keep && control.cache && control.error.empty();
  record.disposition = Disposition::shared;
  if (record.succeeded()) {
    record.ttl = control.ttl.value_or(*call_.request.ttl);
    if (call_.request.jitter > 0)
      record.ttl = with_jitter(record.ttl, call_.request.jitter, random_unit());
    const Nanoseconds stale = record.stale_by_command ? record.stale : call_.request.stale;
    record.retained = after(record.ttl, std::max(stale, call_.request.stale_if_error));
    if (may_keep && record.ttl > Nanoseconds(0)) record.disposition = Disposition::kept;
    return;
  }
  record.ttl = record.retained = call_.request.cache_failures.value_or(Nanoseconds(0));
  // Otherwise each caller would immediately start another refresh.
  if (role_ == ProcessRole::background)
    record.retained = std::max(record.retained, call_.request.lease);
  if (may_keep && record.retained > Nanoseconds(0)) record.disposition = Disposition::failed;
}

/// If the store fails now, the entry is lost, but not the output. Returns false if interrupted by a
/// signal.
bool HolderRun::publish(Lock& lock, const Record& record, Outcome& outcome) noexcept {
  PublishResult published = PublishResult::lost;
  if (auto failure = failure_of([&] { published = lock.publish(record); })) {
    lock.abandon();
    set_not_stored(std::move(*failure), outcome);
    return true;
  }
  switch (published) {
    case PublishResult::interrupted:
      return false;
    case PublishResult::forgotten:
      defer_message(Level::info, "not stored: the entry was deleted during the run");
      return true;
    case PublishResult::lost:
      defer_message(Level::warn, "not stored: the lease was lost to another holder");
      return true;
    case PublishResult::done:
      break;
  }
  outcome.stored = record.disposition == Disposition::kept ||
                   record.disposition == Disposition::failed;
  if (record.disposition == Disposition::kept)
    (void)failure_of([&] {
      defer_message(Level::info, "{}, took {}", describe_storage(record),
                    format_duration(record.run_time));
    });
  return true;
}

/// The call still ends with the status of the command. Only the first of several reasons is
/// reported.
void HolderRun::set_not_stored(std::string why, Outcome& outcome) noexcept {
  if (!outcome.store_error.empty()) return;
  defer_message(Level::warn, "not stored: {}", why);
  outcome.store_error = std::move(why);
}

/// Waits until the readers have read all of the output. The lock has been released.
Outcome HolderRun::deliver_output(CommandRun& command, const RunResult& ending,
                                  Outcome outcome) noexcept {
  const Command::Drained drained = command.drain(ending.drain_briefly ? drain_after_stop : forever);
  outcome.output_error = drained.error;
  apply_interruption(outcome, ending);
  if (ending.interrupt_signal == 0 && drained.interrupt_signal != 0) {
    outcome.signal = drained.interrupt_signal;
    outcome.status = exit_status::of_signal(drained.interrupt_signal);
    return outcome;
  }
  call_.signals.unblock();
  return log_deferred_messages(std::move(outcome));
}

/// Background processes of the command may continue to write: a helper process forwards their
/// output. If the helper cannot be started, this process does that, unless a signal ends the call.
void HolderRun::forward_late_output(CommandRun& command, const Outcome& outcome) noexcept {
  LateOutput late = command.late_output();
  if (late.is_over() || late.hand_over_to_process()) return;
  const bool interrupted = outcome.kind == OutcomeKind::interrupted || outcome.signal != 0;
  if (!interrupted) late.pass_on(call_.signals.descriptor());
}

Outcome HolderRun::log_deferred_messages(Outcome outcome) noexcept {
  for (const auto& message : deferred_messages_) {
    (void)failure_of(
        [&] { call_.log.line(message.first, call_.request.key.shown() + ": " + message.second); });
  }
  return outcome;
}

}  // namespace memolock
