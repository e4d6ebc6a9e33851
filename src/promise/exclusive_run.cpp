#include "src/promise/exclusive_run.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/entry/freshness.hpp"
#include "src/promise/run.hpp"
#include "src/promise/wait_notice.hpp"
#include "src/promise/waiting.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

class ExclusiveCall {
 public:
  ExclusiveCall(const Request& request, Store& store, Signals& signals, const Log& log)
      : request_(request),
        store_(store),
        signals_(signals),
        log_(log),
        notice_(request.key, log, bound_of(request)) {}

  Outcome lock() {
    const Nanoseconds deadline = deadline_of(request_);
    for (bool again = false;; again = true) {
      // Or the store would have no more time to answer.
      if (again && boot_now() >= deadline) return time_out();
      if (const auto lock = try_acquire()) return run(*lock, Mark::none);
      const auto watch = store_.watch(request_.key);
      if (watch) refuse_deadlock(request_, watch->run());
      if (boot_now() >= deadline) {
        notice_.see(watch.get());
        return time_out();
      }
      if (!watch) {
        if (!notice_.pause(backoff_, signals_.descriptor())) return end_by_signal(signals_);
        continue;
      }
      backoff_.reset();
      const WakeReason reason =
          notice_.sleep(*watch, store_.now(), std::nullopt, deadline, signals_.descriptor()).reason;
      if (reason == WakeReason::timed_out) return time_out();
      if (reason == WakeReason::interrupted) return end_by_signal(signals_);
    }
  }

  Outcome once() {
    for (;;) {
      if (const auto mark = recent_mark()) return skip(*mark);
      if (const auto lock = try_acquire()) {
        const auto mark = recent_mark();
        return mark ? skip(*mark) : run(*lock, request_.keep ? Mark::kept : Mark::none);
      }
      const auto watch = store_.watch(request_.key);
      if (watch || backoff_.is_long()) return skip_since_running(watch.get());
      // The last holder may have ended since, and whether that was a run is yet to be seen.
      if (!backoff_.pause(signals_.descriptor())) return end_by_signal(signals_);
    }
  }

 private:
  enum class Mark { none, kept };

  [[nodiscard]] std::string name() const { return request_.key.shown(); }
  std::unique_ptr<Lock> try_acquire() {
    return store_.try_acquire(request_.key, Producer::command);
  }

  /// The mark that says that there is no need to run; nothing: there is none.
  std::optional<Record> recent_mark() {
    if (!request_.keep) return std::nullopt;
    auto mark = store_.mark(request_.key);
    if (!mark) return std::nullopt;
    const Nanoseconds now = store_.now();
    if (!age_of(*mark, now) && !std::exchange(told_of_future_, true))
      log_.info("{}: the mark is dated in the future; it counts as absent", name());
    if (!is_recent_run(*mark, *request_.ttl, now)) return std::nullopt;
    if (request_.on_failure == OnFailure::retry && !mark->succeeded()) return std::nullopt;
    return mark;
  }

  Outcome skip(const Record& mark) {
    Outcome outcome = make_outcome(OutcomeKind::skipped, request_.skip_status);
    outcome.age = store_.now() - began_at(mark);
    outcome.run_time = mark.run_time;
    log_.info("{}: skipped; {} began a run {} ago, status {}", name(), describe_holder(mark),
              format_duration(*outcome.age), mark.status);
    return outcome;
  }

  /// To a run that is going on; null: somebody has the lock, but no run that could be seen.
  Outcome skip_since_running(const Watch* watch) {
    if (watch != nullptr && is_inside(request_, watch->run()))
      throw usage_error("this command runs inside the run of " + name() +
                        ", for which it would always be skipped");
    log_.info("{}: skipped; {}", name(),
              watch == nullptr ? "the lock is held" : describe_run(watch->run(), store_.now()));
    return make_outcome(OutcomeKind::skipped, request_.skip_status);
  }

  Outcome time_out() {
    const std::string why = describe_timeout(request_, notice_);
    if (request_.on_timeout == OnTimeout::run) {
      log_.warn("{}: {}; running without the lock", name(), why);
      return run_uncached(request_, signals_, log_);
    }
    log_.warn("{}: {}", name(), why);
    return make_outcome(OutcomeKind::timeout, exit_status::timed_out);
  }

  Outcome run(Lock& lock, Mark mark) {
    Record record = record_of_run(request_, lock, store_.now());
    lock.begin(record);
    // Without the store it has been said.
    if (request_.keep) log_.info("{}: running the command", name());
    Command command(command_spec(request_, lock, "/dev/null"), signals_);
    command.start_plain();
    return run_to_end(command, lock, record, mark);
  }

  /// Of a command that has started.
  Outcome run_to_end(Command& command, Lock& lock, Record& record, Mark mark) noexcept {
    const RunResult ending = command.finish();
    Outcome outcome = make_outcome(OutcomeKind::ran, ending.status);
    outcome.run_time = ending.run_time;
    note_interruption(outcome, ending);
    const bool whole = ending.interrupted == 0 && !ending.stopped;
    if (mark == Mark::kept && whole && ending.exit_kind != ExitKind::not_started) {
      leave_mark(lock, record, ending, outcome);
    } else if (ending.interrupted != 0) {
      lock.give_up();
    } else {
      lock.abandon();
    }
    signals_.unblock();
    (void)failure_of([&] {
      for (const std::string& warning : warnings_about(request_, ending)) say(Level::warn, warning);
    });
    (void)failure_of([&] {
      if (const std::string failure = describe_failure(ending); !failure.empty())
        say(Level::info, failure);
    });
    if (ending.interrupted != 0) say(Level::info, "interrupted");
    return outcome;
  }

  /// Where nothing may be thrown any more.
  void say(Level level, std::string_view what) noexcept {
    (void)failure_of([&] { log_.line(level, fmt::format("{}: {}", name(), what)); });
  }

  /// Releases the lock too. A store that fails now costs the mark, never the status.
  void leave_mark(Lock& lock, Record& record, const RunResult& ending, Outcome& outcome) noexcept {
    record.disposition = Disposition::marked;
    record.exit_kind = ending.exit_kind;
    record.status = ending.status;
    // No finer than a server keeps them, so that both together are the ttl that was given.
    record.run_time = std::chrono::floor<std::chrono::microseconds>(ending.run_time);
    record.out_hash = record.err_hash = checksum("");
    // Counted from the run's begin; so a long run may leave nothing worth a mark.
    record.ttl = *request_.ttl == forever ? forever : *request_.ttl - record.run_time;
    record.retained = record.ttl;
    if (record.ttl <= Nanoseconds(0)) return lock.abandon();
    PublishResult published = PublishResult::lost;
    if (auto failure = failure_of([&] {
          record.ended = store_.now();
          published = lock.publish(record);
        })) {
      lock.abandon();
      outcome.store_error = std::move(*failure);
      const auto line = [&] { log_.warn("{}: no mark is kept: {}", name(), outcome.store_error); };
      (void)failure_of(line);
      return;
    }
    switch (published) {
      case PublishResult::interrupted:
        outcome = end_by_signal(signals_);
        outcome.run_time = ending.run_time;
        return say(Level::info, "interrupted; no mark is kept");
      case PublishResult::forgotten:
        return say(Level::info, "no mark is kept: it was deleted during the run");
      case PublishResult::lost:
        return say(Level::warn, "no mark is kept: the lease was lost to another holder");
      case PublishResult::done:
        outcome.stored = true;
    }
  }

  const Request& request_;
  Store& store_;
  Signals& signals_;
  const Log& log_;
  Backoff backoff_;
  WaitNotice notice_;
  bool told_of_future_ = false;
};

}  // namespace

Outcome lock(const Request& request, Store& store, Signals& signals, const Log& log) {
  return ExclusiveCall(request, store, signals, log).lock();
}

Outcome once(const Request& request, Store& store, Signals& signals, const Log& log) {
  return ExclusiveCall(request, store, signals, log).once();
}

}  // namespace memolock
