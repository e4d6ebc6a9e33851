#include "src/promise/get.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "src/artifacts/archive.hpp"
#include "src/command/control_file.hpp"
#include "src/promise/holder_run.hpp"
#include "src/promise/lookup.hpp"
#include "src/promise/replay.hpp"
#include "src/promise/run_messages.hpp"
#include "src/promise/start_run.hpp"
#include "src/promise/wait_notice.hpp"
#include "src/promise/waiting.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// The end of the message for a replayed failure; empty for a success.
std::string describe_kept_failure(const Record& record, Nanoseconds now) {
  if (record.succeeded()) return "";
  const Nanoseconds left = std::max(time_left(record, now), Nanoseconds(0));
  return fmt::format(
      "; a failure with status {}, stored {}", record.status,
      left == forever ? "without an expiry" : "for another " + format_duration(left));
}

/// Whether a word contains `directory` followed by the number of a descriptor above 2.
bool names_descriptor_below(std::string_view word, std::string_view directory) {
  for (size_t at = 0; (at = word.find(directory, at)) != std::string_view::npos;) {
    at += directory.size();
    int fd = -1;
    std::from_chars(word.data() + at, word.data() + word.size(), fd);
    if (fd > STDERR_FILENO) return true;
  }
  return false;
}

/// Whether a word of the command refers to a descriptor of this process, as `<(…)` does.
bool refers_to_descriptor(const std::vector<std::string>& command) {
  return std::any_of(command.begin(), command.end(), [](const std::string& word) {
    return names_descriptor_below(word, "/dev/fd/") ||
           names_descriptor_below(word, "/proc/self/fd/");
  });
}

class GetCall {
 public:
  explicit GetCall(const CallContext& context)
      : call_(context),
        deadline_(deadline_of(context.request)),
        lookup_(context.request, context.store, context.log),
        notice_(context.request.key, context.log, has_timeout(context.request)) {}

  Outcome run() {
    if (call_.request.refresh) lookup_.reject_earlier_runs();
    for (bool again = false;;) {
      try {
        // After the deadline, do not send the store another request: it may be slow to reply.
        if (again && boot_now() >= deadline_) return time_out();
        if (auto outcome = attempt()) return *outcome;
        again = true;
      } catch (const RefusedArchive& refused) {
        call_.log.info("{}: {}; treated as a miss", name(), refused.what());
        lookup_.reject_artifacts();
      }
    }
  }

 private:
  /// Steps 1 to 3 of the protocol, once. Returns nothing to start again at step 1.
  std::optional<Outcome> attempt() {
    if (auto outcome = serve_result(lookup_.look_up())) return outcome;
    if (!look_up_only()) {
      if (auto lock = call_.store.try_acquire(call_.request.key, call_.request.producer)) {
        LookupResult found = lock->may_have_changed() ? look_up_under_lock(lock->arm_keepalive())
                                                      : LookupResult{};
        if (found.kind != LookupResult::Kind::fresh && found.kind != LookupResult::Kind::stale)
          return holder_run(ProcessRole::caller)
              .run(*lock, transient_failures_, lookup_.take_fallback());
        // The entry is served without the lock, because the reader of the output may be slow.
        lock.reset();
        return serve_result(std::move(found));
      }
      // Another caller is refreshing it.
      if (const auto entry = lookup_.take_entry_due_early())
        return serve_entry(*entry, OutcomeKind::hit);
    }
    return wait_for_holder();
  }

  [[nodiscard]] bool look_up_only() const { return call_.request.command.empty(); }
  [[nodiscard]] std::string name() const { return call_.request.key.shown(); }

  Outcome serve_entry(Entry& entry, OutcomeKind kind) {
    restore_artifacts(call_.request, entry, call_.signals);
    return serve_output(entry, kind);
  }

  Outcome serve_output(Entry& entry, OutcomeKind kind) {
    call_.log.info("{}: {}, {}, took {}{}", name(), name_of(kind),
                   describe_age(entry.record(), call_.store.now()),
                   format_duration(entry.record().run_time),
                   describe_kept_failure(entry.record(), call_.store.now()));
    return replay(entry, kind, call_.store, call_.signals);
  }

  /// Requires the renewal, because reading the entry may take longer than a lease.
  LookupResult look_up_under_lock(KeepaliveArmed) { return lookup_.look_up(); }

  /// Serves the result of a look-up. Returns nothing if it does not answer the request.
  std::optional<Outcome> serve_result(LookupResult found) {
    if (found.kind == LookupResult::Kind::none) return std::nullopt;
    if (found.kind == LookupResult::Kind::fresh)
      return serve_entry(*found.entry, waited_ ? OutcomeKind::waited : OutcomeKind::hit);
    if (found.kind == LookupResult::Kind::stale_and_refresh && !look_up_only()) {
      // The background process would not have the descriptor that such a word refers to.
      if (refers_to_descriptor(call_.request.command)) return std::nullopt;
      call_.store.end_wait_limit();
      // Before the background run, which overwrites the files.
      restore_artifacts(call_.request, *found.entry, call_.signals);
      if (is_not_locked() && can_store_result() &&
          call_.launcher.daemonize() == ProcessRole::background)
        return refresh();
      return serve_output(*found.entry, OutcomeKind::stale);
    }
    return serve_entry(*found.entry, OutcomeKind::stale);
  }

  /// Whether no run is in progress. The call already has its answer, so an error of the store is
  /// reported only with -v.
  bool is_not_locked() {
    try {
      return !call_.store.is_locked(call_.request.key);
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store) throw;
      call_.log.info("{}", error.what());
      return false;
    }
  }

  /// Whether the result of a background run could be stored. Checked beforehand, because that run
  /// cannot report anything.
  bool can_store_result() {
    if (!call_.request.keep || *call_.request.ttl == Nanoseconds(0)) return true;
    const std::string why = why_no_control_files();
    if (!why.empty()) call_.log.warn("{}: no background refresh: {}", name(), why);
    return why.empty();
  }

  /// In the background process: runs the command, unless another process is running it or has
  /// just stored a result.
  Outcome refresh() {
    // A failure cannot be reported; the next caller tries again.
    (void)failure_of([&] {
      const auto lock = call_.store.try_acquire(call_.request.key, call_.request.producer);
      if (lock && (!lock->may_have_changed() || look_up_under_lock(lock->arm_keepalive()).kind ==
                                                    LookupResult::Kind::stale_and_refresh))
        (void)holder_run(ProcessRole::background).run(*lock, 0, nullptr);
    });
    return make_outcome(OutcomeKind::background, 0);
  }

  /// Step 3 of the protocol. Returns nothing to start again at step 1.
  std::optional<Outcome> wait_for_holder() {
    const auto watch = call_.store.watch_run(call_.request.key);
    if (look_up_only() && (!call_.request.wait || (!watch && !is_run_about_to_begin()))) {
      call_.log.info("{}: no usable entry", name());
      return make_outcome(OutcomeKind::absent, exit_status::absent);
    }
    if (watch) reject_deadlock(call_.request, watch->run_record());
    if (boot_now() >= deadline_) {
      notice_.record_holder(watch.get());
      return time_out();
    }
    if (!watch) {
      call_.log.debug("{}: the lock is held, but no run is visible yet; trying again", name());
      if (!notice_.pause(backoff_, call_.signals.descriptor()))
        return outcome_of_signal(call_.signals);
      return std::nullopt;
    }
    backoff_.reset();
    const bool forgotten = watch->forgotten();
    waited_ = true;
    if (watch->may_have_changed())
      if (auto outcome = serve_result(lookup_.look_up())) return outcome;
    const WaitResult woken = notice_.wait(*watch, call_.store.now(), lookup_.last_run_time(),
                                          deadline_, call_.signals.descriptor());
    if (woken.reason == WakeReason::answered && forgotten) return std::nullopt;
    return end_wait(woken);
  }

  std::optional<Outcome> end_wait(const WaitResult& woken) {
    switch (woken.reason) {
      case WakeReason::timed_out:
        return time_out();
      case WakeReason::interrupted:
        return outcome_of_signal(call_.signals);
      case WakeReason::gone:
        call_.log.info("{}: the run ended without a result", name());
        return std::nullopt;
      case WakeReason::answered:
        break;
    }
    return serve_answer(*woken.answer);
  }

  /// For a look-up that waits and sees no run: whether the lock is held, so that a run is about to
  /// become visible, or a waiter may be about to take over from a dead holder.
  bool is_run_about_to_begin() {
    return call_.store.is_locked(call_.request.key) || (waited_ && !backoff_.is_exhausted());
  }

  /// Serves the result with which this waiter was woken. Returns nothing if it does not answer the
  /// request.
  std::optional<Outcome> serve_answer(Entry& answer) {
    const Record& record = answer.record();
    if (record.disposition == Disposition::unstored) {
      call_.log.info("{}: the result could not be shared{}", name(),
                     look_up_only() ? "" : "; running the command without the store");
      if (look_up_only()) return make_outcome(OutcomeKind::absent, exit_status::absent);
      return run_uncached(call_.request, call_.signals, call_.log, call_.launcher);
    }
    if (!answers_waiter(record, lookup_.policy())) return std::nullopt;
    if (!record.succeeded()) {
      if (must_retry(record)) return std::nullopt;
      if (const auto old = lookup_.take_fallback()) return serve_instead_of(record, *old);
    }
    if (!lookup_.is_servable(answer)) return std::nullopt;
    restore_artifacts(call_.request, answer, call_.signals);
    call_.log.info("{}: waited; the run took {}, status {}", name(),
                   format_duration(record.run_time), record.status);
    return replay(answer, OutcomeKind::waited, call_.store, call_.signals);
  }

  /// Whether this waiter is to run the command again after the failure of another holder.
  bool must_retry(const Record& failure) {
    if (failure.is_transient_failure() && failure.transient_failures < 2 && !look_up_only()) {
      transient_failures_ = failure.transient_failures;
      return true;
    }
    return call_.request.on_failure == OnFailure::retry;
  }

  Outcome serve_instead_of(const Record& failure, Entry& fallback) {
    call_.log.warn("{}: the command {}; serving the stored entry ({})", name(),
                   describe_failure(failure), describe_age(fallback.record(), call_.store.now()));
    restore_artifacts(call_.request, fallback, call_.signals);
    return replay(fallback, OutcomeKind::stale, call_.store, call_.signals);
  }

  Outcome serve_stale(const std::string& why, Entry& entry) {
    call_.log.info("{}: {}", name(), why);
    return serve_entry(entry, OutcomeKind::stale);
  }

  Outcome time_out() {
    const std::string why = describe_timeout(call_.request, notice_);
    if (const auto old = lookup_.take_fallback()) return serve_stale(why, *old);
    if (call_.request.on_timeout == OnTimeout::run && !look_up_only()) {
      call_.log.info("{}: {}; running the command without the store", name(), why);
      return run_uncached(call_.request, call_.signals, call_.log, call_.launcher);
    }
    if (call_.request.on_timeout == OnTimeout::stale) {
      const auto entry = lookup_.take_expired();
      if (entry && lookup_.is_servable(*entry)) return serve_stale(why, *entry);
    }
    call_.log.warn("{}: {}", name(), why);
    return make_outcome(OutcomeKind::timeout, exit_status::timed_out);
  }

  HolderRun holder_run(ProcessRole role) { return {call_, role}; }

  const CallContext call_;
  const Nanoseconds deadline_;  // of the wait; boot clock
  Lookup lookup_;
  WaitNotice notice_;
  Backoff backoff_;
  bool waited_ = false;
  uint32_t transient_failures_ = 0;
};

}  // namespace

Outcome get(const CallContext& context) { return GetCall(context).run(); }

Outcome get(const Request& request, Store& store, Signals& signals, const Log& log) {
  return get({request, store, signals, log, process_launcher()});
}

}  // namespace memolock
