#include "src/promise/exclusive_run.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/entry/freshness.hpp"
#include "src/promise/run_messages.hpp"
#include "src/promise/start_run.hpp"
#include "src/promise/wait_notice.hpp"
#include "src/promise/waiting.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

class ExclusiveCall {
 public:
  explicit ExclusiveCall(const CallContext& context)
      : call_(context), notice_(context.request.key, context.log, has_timeout(context.request)) {}

  Outcome lock() {
    const Nanoseconds deadline = deadline_of(call_.request);
    for (bool again = false;; again = true) {
      // After the deadline, do not send the store another request: it may be slow to reply.
      if (again && boot_now() >= deadline) return time_out();
      if (const auto lock = try_acquire()) return run(*lock, MarkPolicy::none);
      const auto watch = call_.store.watch_run(call_.request.key);
      if (watch) reject_deadlock(call_.request, watch->run_record());
      if (boot_now() >= deadline) {
        notice_.record_holder(watch.get());
        return time_out();
      }
      if (!watch) {
        if (!notice_.pause(backoff_, call_.signals.descriptor()))
          return outcome_of_signal(call_.signals);
        continue;
      }
      backoff_.reset();
      const WakeReason reason = notice_
                                    .wait(*watch, call_.store.now(), std::nullopt, deadline,
                                          call_.signals.descriptor())
                                    .reason;
      if (reason == WakeReason::timed_out) return time_out();
      if (reason == WakeReason::interrupted) return outcome_of_signal(call_.signals);
    }
  }

  Outcome once() {
    for (;;) {
      if (const auto mark = recent_mark()) return skip(*mark);
      if (const auto lock = try_acquire()) {
        const auto mark = recent_mark();
        return mark ? skip(*mark)
                    : run(*lock, call_.request.keep ? MarkPolicy::store : MarkPolicy::none);
      }
      const auto watch = call_.store.watch_run(call_.request.key);
      if (watch || backoff_.is_exhausted()) return skip_while_running(watch.get());
      // The holder may have just ended. If it stored a mark, the next round sees it.
      if (!backoff_.pause(call_.signals.descriptor())) return outcome_of_signal(call_.signals);
    }
  }

 private:
  enum class MarkPolicy { none, store };

  [[nodiscard]] std::string name() const { return call_.request.key.shown(); }
  std::unique_ptr<Lock> try_acquire() {
    return call_.store.try_acquire(call_.request.key, Producer::command);
  }

  /// The mark of the last run, if it is recent enough to skip this run.
  std::optional<Record> recent_mark() {
    if (!call_.request.keep) return std::nullopt;
    auto mark = call_.store.look_up_mark(call_.request.key);
    if (!mark) return std::nullopt;
    const Nanoseconds now = call_.store.now();
    if (!age_of(*mark, now) && !std::exchange(reported_future_mark_, true))
      call_.log.info("{}: the mark is dated in the future; ignored", name());
    if (!is_recent_run(*mark, *call_.request.ttl, now)) return std::nullopt;
    if (call_.request.on_failure == OnFailure::retry && !mark->succeeded()) return std::nullopt;
    return mark;
  }

  Outcome skip(const Record& mark) {
    Outcome outcome = make_outcome(OutcomeKind::skipped, call_.request.skip_status);
    outcome.age = call_.store.now() - began_at(mark);
    outcome.run_time = mark.run_time;
    call_.log.info("{}: skipped; {} started a run {} ago, status {}", name(), describe_holder(mark),
                   format_duration(*outcome.age), mark.status);
    return outcome;
  }

  /// `watch`: the run in progress; null if the lock is held and no run is visible.
  Outcome skip_while_running(const Watch* watch) {
    if (watch != nullptr && is_inside_run(call_.request, watch->run_record()))
      throw usage_error("this command runs inside the run of " + name() +
                        ", so it would always be skipped");
    call_.log.info("{}: skipped; {}", name(),
                   watch == nullptr ? "the lock is held"
                                    : describe_run(watch->run_record(), call_.store.now()));
    return make_outcome(OutcomeKind::skipped, call_.request.skip_status);
  }

  Outcome time_out() {
    const std::string why = describe_timeout(call_.request, notice_);
    if (call_.request.on_timeout == OnTimeout::run) {
      call_.log.warn("{}: {}; running without the lock", name(), why);
      return run_uncached(call_.request, call_.signals, call_.log, call_.launcher);
    }
    call_.log.warn("{}: {}", name(), why);
    return make_outcome(OutcomeKind::timeout, exit_status::timed_out);
  }

  Outcome run(Lock& lock, MarkPolicy mark) {
    Record record = record_of_run(call_.request, lock, call_.store.now());
    lock.begin(record);
    // Without `keep`, an earlier message has already said that the store is not used.
    if (call_.request.keep) call_.log.info("{}: running the command", name());
    const auto command = call_.launcher.prepare(command_spec(call_.request, lock, "/dev/null"),
                                                call_.signals);
    command->start_plain();
    return finish_run(*command, lock, record, mark);
  }

  /// The command has started: nothing may throw.
  Outcome finish_run(CommandRun& command, Lock& lock, Record& record, MarkPolicy mark) noexcept {
    const RunResult ending = command.finish(nullptr);
    Outcome outcome = make_outcome(OutcomeKind::ran, ending.status);
    outcome.run_time = ending.run_time;
    apply_interruption(outcome, ending);
    const bool whole = ending.interrupt_signal == 0 && !ending.stopped_on_request;
    if (mark == MarkPolicy::store && whole && ending.exit_kind != ExitKind::not_started) {
      store_mark(lock, record, ending, outcome);
    } else if (ending.interrupt_signal != 0) {
      lock.abandon_quickly();
    } else {
      lock.abandon();
    }
    call_.signals.unblock();
    (void)failure_of([&] {
      for (const std::string& warning : describe_warnings(call_.request, ending))
        log_line(Level::warn, warning);
    });
    (void)failure_of([&] {
      if (const std::string failure = describe_failure(ending); !failure.empty())
        log_line(Level::info, failure);
    });
    if (ending.interrupt_signal != 0) log_line(Level::info, "interrupted");
    return outcome;
  }

  void log_line(Level level, std::string_view what) noexcept {
    (void)failure_of([&] { call_.log.line(level, fmt::format("{}: {}", name(), what)); });
  }

  /// Also releases the lock. If the store fails now, the mark is lost, but not the exit status.
  void store_mark(Lock& lock, Record& record, const RunResult& ending, Outcome& outcome) noexcept {
    record.disposition = Disposition::marked;
    record.exit_kind = ending.exit_kind;
    record.status = ending.status;
    // Rounded to microseconds, as a server stores it, so that run_time + ttl is exactly the given
    // ttl.
    record.run_time = std::chrono::floor<std::chrono::microseconds>(ending.run_time);
    record.out_hash = record.err_hash = checksum("");
    // The ttl is measured from the start of the run, so it may have passed at the end of a long
    // run.
    record.ttl = *call_.request.ttl == forever ? forever : *call_.request.ttl - record.run_time;
    record.retained = record.ttl;
    if (record.ttl <= Nanoseconds(0)) return lock.abandon();
    PublishResult published = PublishResult::lost;
    if (auto failure = failure_of([&] {
          record.ended = call_.store.now();
          published = lock.publish(record);
        })) {
      lock.abandon();
      outcome.store_error = std::move(*failure);
      const auto line = [&] {
        call_.log.warn("{}: the mark was not stored: {}", name(), outcome.store_error);
      };
      (void)failure_of(line);
      return;
    }
    switch (published) {
      case PublishResult::interrupted:
        outcome = outcome_of_signal(call_.signals);
        outcome.run_time = ending.run_time;
        return log_line(Level::info, "interrupted; the mark was not stored");
      case PublishResult::forgotten:
        return log_line(Level::info, "the mark was not stored: it was deleted during the run");
      case PublishResult::lost:
        return log_line(Level::warn,
                        "the mark was not stored: the lease was lost to another holder");
      case PublishResult::done:
        outcome.stored = true;
    }
  }

  const CallContext call_;
  Backoff backoff_;
  WaitNotice notice_;
  bool reported_future_mark_ = false;
};

}  // namespace

Outcome lock(const CallContext& context) { return ExclusiveCall(context).lock(); }

Outcome lock(const Request& request, Store& store, Signals& signals, const Log& log) {
  return lock({request, store, signals, log, process_launcher()});
}

Outcome once(const CallContext& context) { return ExclusiveCall(context).once(); }

Outcome once(const Request& request, Store& store, Signals& signals, const Log& log) {
  return once({request, store, signals, log, process_launcher()});
}

}  // namespace memolock
