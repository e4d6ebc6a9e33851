#include "src/promise/holder_run.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "src/artifacts/pack.hpp"
#include "src/entry/freshness.hpp"
#include "src/promise/lookup.hpp"
#include "src/promise/run.hpp"
#include "src/promise/wait_notice.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/random.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

// How long the readers of a command that was stopped have to take the rest of its output.
constexpr std::chrono::seconds last_words{2};

std::string promise_in_words(const Record& record) {
  return record.succeeded() ? "was kept" : fmt::format("failed with status {}", record.status);
}

bool failed(const RunResult& ending) {
  return ending.exit_kind != ExitKind::exited || ending.status != 0;
}

}  // namespace

HolderRun::HolderRun(const Request& request, Store& store, Signals& signals, const Log& log,
                     ProcessRole role)
    : request_(request), store_(store), signals_(signals), log_(log), role_(role) {}

Outcome HolderRun::run(Lock& lock, uint32_t transient_failures, std::unique_ptr<Entry> fallback) {
  Record record = record_of_run(request_, lock, store_.now());
  record.transient_failures = transient_failures;
  lock.begin(record);
  // Without the store it has been said.
  if (request_.keep) log_.info("{}: running the command", request_.key.shown());
  const std::string control = request_.keep ? control_.make() : "/dev/null";
  CommandSpec launch = command_spec(request_, lock, control);
  launch.scratch = control_.scratch();
  const bool external = request_.producer == Producer::external;
  launch.defer_stdout = fallback != nullptr;
  if (external) {
    launch.out = STDERR_FILENO;   // its own output is no part of the outcome
    launch.stop_descriptor = -1;  // the work is done elsewhere, and would not end with this command
  }
  Command command(std::move(launch), signals_);
  if (external) {
    command.start_plain();
    return keep_promise(lock, record, command);
  }
  const auto spool = lock.spool();
  spool->limit(request_.max_entry);
  command.start_spooled(spool);
  Outcome outcome = run_to_end(lock, record, command, *spool, fallback.get());
  forward_late_output(command, outcome);
  return outcome;
}

/// Shares what the command leaves, and gives it to the caller.
Outcome HolderRun::run_to_end(Lock& lock, Record& record, Command& command, Spool& spool,
                              Entry* fallback) noexcept {
  Outcome outcome;
  outcome.kind = OutcomeKind::miss;
  const RunResult ending = command.finish([&] {
    record.disposition = Disposition::unstored;
    (void)failure_of([&] { note_not_stored(spool.fault(), outcome); });
    (void)publish(lock, record, outcome);  // the signal is for the command, which still runs
  });
  outcome.status = ending.status;
  outcome.run_time = ending.run_time;
  note_warnings(ending);
  Answer answer = Answer::output;
  if (auto failure = failure_of(
          [&] { answer = share(lock, record, ending, spool, fallback, outcome); })) {
    lock.abandon();
    note_not_stored(std::move(*failure), outcome);
  }
  if (answer == Answer::output) note_failure(ending, record, outcome);
  if (answer == Answer::fallback) return serve_fallback(command, ending, *fallback);
  if (answer == Answer::output_of_interrupted)
    return end_interrupted(lock, command, ending.run_time);
  command.release_stdout();
  return deliver_output(command, ending, std::move(outcome));
}

/// Ends the run for all others.
HolderRun::Answer HolderRun::share(Lock& lock, Record& record, const RunResult& ending,
                                   Spool& spool, Entry* fallback, Outcome& outcome) {
  if (ending.interrupted != 0) {
    abandon_interrupted(lock);
    return Answer::output;
  }
  if (ending.stopped) {
    lock.abandon();
    return Answer::output;
  }
  if (ending.unknown) {
    lock.abandon();
    defer_message(Level::warn, "not stored: the exit status of the command is not known");
    return Answer::output;
  }
  if (record.disposition == Disposition::unstored) return Answer::output;
  complete(record, ending, spool, control_.take());
  if (!pack_artifacts(lock, record, spool, outcome)) return Answer::output_of_interrupted;
  if (!publish(lock, record, outcome)) return Answer::output_of_interrupted;
  const bool instead = fallback != nullptr && failed(ending) && restore_fallback(*fallback);
  return instead ? Answer::fallback : Answer::output;
}

void HolderRun::note_warnings(const RunResult& ending) noexcept {
  (void)failure_of([&] {
    for (std::string& warning : warnings_about(request_, ending))
      deferred_messages_.emplace_back(Level::warn, std::move(warning));
  });
}

/// Why it was not stored has been said where that is not the failure.
void HolderRun::note_failure(const RunResult& ending, const Record& record,
                             const Outcome& outcome) noexcept {
  if (!log_.is_enabled(Level::info)) return;
  (void)failure_of([&] {
    const std::string failure = describe_failure(ending);
    if (failure.empty()) return;
    if (outcome.stored) {
      defer_message(Level::info, "{}; kept for {}", failure, format_duration(record.ttl));
    } else {
      const bool said = std::any_of(
          deferred_messages_.begin(), deferred_messages_.end(),
          [](const auto& remark) { return remark.second.starts_with("not stored"); });
      defer_message(Level::info, "{}{}", failure, said ? "" : "; not stored");
    }
  });
}

void HolderRun::abandon_interrupted(Lock& lock) noexcept {
  lock.give_up();
  defer_message(Level::info, "interrupted; nothing is stored");
}

/// The command has ended, but what it made was still being packed or stored.
Outcome HolderRun::end_interrupted(Lock& lock, Command& command, Nanoseconds run_time) noexcept {
  abandon_interrupted(lock);
  command.release_stdout();
  Outcome outcome = end_by_signal(signals_);
  outcome.run_time = run_time;
  outcome.output_error = command.drain(last_words).error;
  return with_deferred_messages(std::move(outcome));
}

/// Serves an old entry in place of what a failed command has written to stdout; its stderr is the
/// caller's all the same, and comes first.
Outcome HolderRun::serve_fallback(Command& command, const RunResult& ending,
                                  Entry& fallback) noexcept {
  const auto age = [&] { return describe_age(fallback.record(), store_.now()); };
  (void)failure_of([&] {
    const std::string failure = describe_failure(ending);  // empty: it has been said
    defer_message(Level::warn, "{}{}served the entry that is {}", failure,
                  failure.empty() ? "" : "; ", age());
  });
  Outcome outcome = replay(fallback, OutcomeKind::stale, store_, signals_,
                           [&] { return command.drain(forever).error; });
  outcome.fell_back_to_stale = true;
  return with_deferred_messages(std::move(outcome));
}

/// The command has others do the work; waits for them.
Outcome HolderRun::keep_promise(Lock& lock, Record& record, Command& command) noexcept {
  const RunResult ending = command.finish();
  Outcome outcome = make_outcome(OutcomeKind::miss, ending.status);
  outcome.run_time = ending.run_time;
  note_warnings(ending);
  if (ending.interrupted != 0) {
    abandon_interrupted(lock);
    note_interruption(outcome, ending);
    return with_deferred_messages(std::move(outcome));
  }
  auto failure = failure_of([&] {
    complete(record, ending, *lock.spool(), control_.take());
    note_failure(ending, record, outcome);
    outcome = until_interrupted(signals_, [&] { return await_promise(lock, record, outcome); });
  });
  if (outcome.kind == OutcomeKind::interrupted) {
    lock.give_up();
    defer_message(Level::info, "interrupted; the promise is given up");
    return with_deferred_messages(std::move(outcome));
  }
  if (!failure) return outcome;
  // The work has been started, and must not be once more; but its result cannot be had.
  lock.abandon();
  outcome.kind = OutcomeKind::error;
  if (outcome.status == 0) outcome.status = exit_status::own_error;
  defer_message(Level::warn, "lost the promise: {}", *failure);
  outcome.store_error = std::move(*failure);
  return with_deferred_messages(std::move(outcome));
}

/// Ends with the work, unless the command has failed. Throws Error(store) when it cannot be seen.
Outcome HolderRun::await_promise(Lock& lock, Record& record, Outcome outcome) {
  record.disposition = Disposition::shared;
  if (!record.succeeded()) {
    if (!publish(lock, record, outcome)) return end_by_signal(signals_);
    return with_deferred_messages(std::move(outcome));
  }
  log_.info("{}: started; waiting for the promise to be kept", request_.key.shown());
  WaitResult woken;
  {
    // Its line goes before the output comes. The lease is a bound.
    WaitNotice notice(request_.key, log_, WaitNotice::Bounded::yes);
    notice.begin(record, store_.now(), std::nullopt);
    woken = lock.await_promise(request_.lease, signals_.descriptor(), notice);
  }
  switch (woken.reason) {
    case WakeReason::interrupted:
      return end_by_signal(signals_);
    case WakeReason::answered:
      lock.abandon();
      (void)failure_of([&] {
        log_.info("{}: the promise {}", request_.key.shown(),
                  promise_in_words(woken.answer->record()));
      });
      return replay(*woken.answer, OutcomeKind::miss, store_, signals_);
    case WakeReason::gone:
    case WakeReason::timed_out:
      break;
  }
  return break_promise(lock, record, std::move(outcome));
}

/// Nobody has kept it in time: a failure, for the waiters too.
Outcome HolderRun::break_promise(Lock& lock, Record& record, Outcome outcome) noexcept {
  record.exit_kind = ExitKind::timed_out;
  record.status = outcome.status = exit_status::timed_out;
  (void)failure_of([&] { record.ended = store_.now(); });
  record.run_time = record.ended - record.begun;
  outcome.kind = OutcomeKind::timeout;
  if (!publish(lock, record, outcome)) return end_by_signal(signals_);
  (void)failure_of([&] {
    log_.warn("{}: nobody has kept the promise within {}", request_.key.shown(),
              format_duration(request_.lease));
  });
  return with_deferred_messages(std::move(outcome));
}

/// Fills in what is known after the run.
void HolderRun::complete(Record& record, const RunResult& ending, const Spool& spool,
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
  if (!control.fault.empty()) defer_message(Level::warn, "not stored: {}", control.fault);
  decide_disposition(record, control);
  if (control.missing.empty() || record.disposition == Disposition::shared) return;
  // The command might have said that it is not to be kept.
  record.disposition = Disposition::shared;
  if (request_.producer == Producer::command)
    defer_message(Level::warn, "not stored: {}", control.missing);
}

/// Without the files that it is to have, an outcome is none: waiters run the command themselves.
/// Returns false when it was interrupted.
bool HolderRun::pack_artifacts(Lock& lock, Record& record, Spool& spool, Outcome& outcome) {
  if (request_.artifacts.empty() || !record.succeeded()) return true;
  const auto fault = pack(request_.artifacts, spool, signals_.descriptor(), lock.arm_keepalive());
  if (!fault) return false;
  record.files_size = spool.size(Stream::files);
  record.files_hash = spool.hash(Stream::files);
  if (fault->empty()) return true;
  record.disposition = Disposition::unstored;
  note_not_stored(*fault, outcome);
  return true;
}

/// Without its files the old entry is not served in place of a failure.
bool HolderRun::restore_fallback(Entry& fallback) noexcept {
  const auto failure = failure_of([&] {
    try {
      restore_artifacts(request_, fallback, signals_);
    } catch (const Error& error) {
      if (error.kind() == Error::Kind::store) defer_message(Level::warn, "{}", error.what());
      throw;
    }
  });
  return !failure;
}

/// Whether it is kept, and for how long.
void HolderRun::decide_disposition(Record& record, const Control& control) {
  const bool may_keep = request_.keep && control.cache && control.fault.empty();
  record.disposition = Disposition::shared;
  if (record.succeeded()) {
    record.ttl = control.ttl.value_or(*request_.ttl);
    if (request_.jitter > 0) record.ttl = with_jitter(record.ttl, request_.jitter, random_unit());
    const Nanoseconds stale = record.stale_by_command ? record.stale : request_.stale;
    record.retained = after(record.ttl, std::max(stale, request_.stale_if_error));
    if (may_keep && record.ttl > Nanoseconds(0)) record.disposition = Disposition::kept;
    return;
  }
  record.ttl = record.retained = request_.cache_failures.value_or(Nanoseconds(0));
  // Or every caller to come would try again in the background.
  if (role_ == ProcessRole::background) record.retained = std::max(record.retained, request_.lease);
  if (may_keep && record.retained > Nanoseconds(0)) record.disposition = Disposition::failed;
}

/// A store that fails now costs the entry, never the output.
bool HolderRun::publish(Lock& lock, const Record& record, Outcome& outcome) noexcept {
  PublishResult published = PublishResult::lost;
  if (auto failure = failure_of([&] { published = lock.publish(record); })) {
    lock.abandon();
    note_not_stored(std::move(*failure), outcome);
    return true;
  }
  switch (published) {
    case PublishResult::interrupted:
      return false;
    case PublishResult::forgotten:
      defer_message(Level::info, "not stored: it was deleted during the run");
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
      defer_message(Level::info, "stored for {}, took {}", format_duration(record.ttl),
                    format_duration(record.run_time));
    });
  return true;
}

/// The run ends as it would have; of several reasons the first is said.
void HolderRun::note_not_stored(std::string why, Outcome& outcome) noexcept {
  if (!outcome.store_error.empty()) return;
  defer_message(Level::warn, "not stored: {}", why);
  outcome.store_error = std::move(why);
}

/// Waits until the caller has got all of the output; the lock is released by now.
Outcome HolderRun::deliver_output(Command& command, const RunResult& ending,
                                  Outcome outcome) noexcept {
  const Command::Drained drained = command.drain(ending.cut_short ? last_words : forever);
  outcome.output_error = drained.error;
  note_interruption(outcome, ending);
  if (ending.interrupted == 0 && drained.interrupted != 0) {
    outcome.signal = drained.interrupted;
    outcome.status = exit_status::of_signal(drained.interrupted);
    return outcome;
  }
  signals_.unblock();
  return with_deferred_messages(std::move(outcome));
}

/// What the command has left in the background may write for long: a process of its own passes that
/// on. Where none is available it is done here, unless this call was to end by a signal.
void HolderRun::forward_late_output(Command& command, const Outcome& outcome) noexcept {
  LateOutput late = command.late_output();
  if (late.is_over() || late.leave_to_process()) return;
  const bool interrupted = outcome.kind == OutcomeKind::interrupted || outcome.signal != 0;
  if (!interrupted) late.pass_on(signals_.descriptor());
}

Outcome HolderRun::with_deferred_messages(Outcome outcome) noexcept {
  for (const auto& remark : deferred_messages_) {
    (void)failure_of([&] { log_.line(remark.first, request_.key.shown() + ": " + remark.second); });
  }
  return outcome;
}

}  // namespace memolock
