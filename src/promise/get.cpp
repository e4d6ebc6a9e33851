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
#include "src/promise/run.hpp"
#include "src/promise/wait_notice.hpp"
#include "src/promise/waiting.hpp"
#include "src/system/daemonize.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

const char* how_in_words(OutcomeKind kind) {
  if (kind == OutcomeKind::waited) return "waited";
  return kind == OutcomeKind::stale ? "stale" : "hit";
}

/// What is said of a failure that is replayed; of anything else nothing.
std::string kept_failure_in_words(const Record& record, Nanoseconds now) {
  if (record.succeeded()) return "";
  return fmt::format("; a failure with status {}, kept for {} more", record.status,
                     format_duration(std::max(time_left(record, now), Nanoseconds(0))));
}

/// Whether a word has `folder` and then the number of a descriptor that is no standard stream.
bool has_descriptor_of(std::string_view word, std::string_view folder) {
  for (size_t at = 0; (at = word.find(folder, at)) != std::string_view::npos;) {
    at += folder.size();
    int fd = -1;
    std::from_chars(word.data() + at, word.data() + word.size(), fd);
    if (fd > STDERR_FILENO) return true;
  }
  return false;
}

/// Whether a word of the command names a descriptor of this process, as `<(…)` does.
bool names_descriptor(const std::vector<std::string>& command) {
  return std::any_of(command.begin(), command.end(), [](const std::string& word) {
    return has_descriptor_of(word, "/dev/fd/") || has_descriptor_of(word, "/proc/self/fd/");
  });
}

class Call {
 public:
  Call(const Request& request, Store& store, Signals& signals, const Log& log)
      : request_(request),
        store_(store),
        signals_(signals),
        log_(log),
        deadline_(deadline_of(request)),
        lookup_(request, store, log),
        notice_(request.key, log, bound_of(request)) {}

  Outcome carry_out() {
    if (request_.refresh) lookup_.require_newer();
    for (bool again = false;;) {
      try {
        // Or the store would have no more time to answer.
        if (again && boot_now() >= deadline_) return time_out();
        if (auto outcome = try_once()) return *outcome;
        again = true;
      } catch (const RefusedArchive& refused) {
        log_.info("{}: {}; treated as a miss", name(), refused.what());
        lookup_.refuse_artifacts();
      }
    }
  }

 private:
  /// Nothing: begin anew.
  std::optional<Outcome> try_once() {
    if (auto outcome = take(lookup_.look())) return outcome;
    if (!look_up_only()) {
      if (auto lock = store_.try_acquire(request_.key, request_.producer)) {
        LookupResult found = lock->may_have_changed() ? look_under(lock->arm_keepalive())
                                                      : LookupResult{};
        if (found.kind != LookupResult::Kind::fresh && found.kind != LookupResult::Kind::stale)
          return holder_run(ProcessRole::caller)
              .run(*lock, transient_failures_, lookup_.take_fallback());
        // Not under the lock: its reader may take their time.
        lock.reset();
        return take(std::move(found));
      }
      // Somebody else is refreshing it.
      if (const auto entry = lookup_.take_due_early()) return serve(*entry, OutcomeKind::hit);
    }
    return wait_for_holder();
  }

  [[nodiscard]] bool look_up_only() const { return request_.command.empty(); }
  [[nodiscard]] std::string name() const { return request_.key.shown(); }

  Outcome serve(Entry& entry, OutcomeKind kind) {
    restore_artifacts(request_, entry, signals_);
    return serve_output(entry, kind);
  }

  Outcome serve_output(Entry& entry, OutcomeKind kind) {
    log_.info("{}: {}, {}, took {}{}", name(), how_in_words(kind),
              describe_age(entry.record(), store_.now()), format_duration(entry.record().run_time),
              kept_failure_in_words(entry.record(), store_.now()));
    return replay(entry, kind, store_, signals_);
  }

  /// What it finds may be large.
  LookupResult look_under(KeepaliveArmed) { return lookup_.look(); }

  /// Serves what was found if it answers; nothing: run the command, or wait.
  std::optional<Outcome> take(LookupResult found) {
    if (found.kind == LookupResult::Kind::none) return std::nullopt;
    if (found.kind == LookupResult::Kind::fresh)
      return serve(*found.entry, waited_ ? OutcomeKind::waited : OutcomeKind::hit);
    if (found.kind == LookupResult::Kind::stale_and_refresh && !look_up_only()) {
      // A copy of this process could not give the command what such a word names.
      if (names_descriptor(request_.command)) return std::nullopt;
      store_.end_wait_limit();
      // Before the run in the background makes new ones.
      restore_artifacts(request_, *found.entry, signals_);
      if (nobody_refreshes() && can_be_kept() && daemonize() == ProcessRole::background)
        return refresh();
      return serve_output(*found.entry, OutcomeKind::stale);
    }
    return serve(*found.entry, OutcomeKind::stale);
  }

  /// With an answer in hand a store that fails now is not worth a word.
  bool nobody_refreshes() {
    try {
      return !store_.is_locked(request_.key);
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store) throw;
      log_.info("{}", error.what());
      return false;
    }
  }

  /// Whether a run in the background would be of use: there, nobody would be told.
  bool can_be_kept() {
    if (!request_.keep || *request_.ttl == Nanoseconds(0)) return true;
    const std::string fault = fault_of_control_files();
    if (!fault.empty()) log_.warn("{}: not refreshed: {}", name(), fault);
    return fault.empty();
  }

  /// In the background: runs the command, unless somebody else does or has just done so.
  Outcome refresh() {
    // Nobody is there to be told of a failure; the next caller tries again.
    (void)failure_of([&] {
      const auto lock = store_.try_acquire(request_.key, request_.producer);
      if (lock && (!lock->may_have_changed() ||
                   look_under(lock->arm_keepalive()).kind == LookupResult::Kind::stale_and_refresh))
        (void)holder_run(ProcessRole::background).run(*lock, 0, nullptr);
    });
    return make_outcome(OutcomeKind::background, 0);
  }

  /// Nothing: begin anew.
  std::optional<Outcome> wait_for_holder() {
    const auto watch = store_.watch(request_.key);
    if (look_up_only() && (!request_.wait || (!watch && !is_about_to_begin()))) {
      log_.info("{}: absent", name());
      return make_outcome(OutcomeKind::absent, exit_status::absent);
    }
    if (watch) refuse_deadlock(request_, watch->run());
    if (boot_now() >= deadline_) {
      notice_.see(watch.get());
      return time_out();
    }
    if (!watch) {
      log_.debug("{}: the lock is held, but there is no run to wait for; trying again", name());
      if (!notice_.pause(backoff_, signals_.descriptor())) return end_by_signal(signals_);
      return std::nullopt;
    }
    backoff_.reset();
    const bool forgotten = watch->forgotten();
    waited_ = true;
    if (watch->may_have_changed())
      if (auto outcome = take(lookup_.look())) return outcome;
    const WaitResult woken = notice_.sleep(*watch, store_.now(), lookup_.last_run_time(), deadline_,
                                           signals_.descriptor());
    switch (woken.reason) {
      case WakeReason::timed_out:
        return time_out();
      case WakeReason::interrupted:
        return end_by_signal(signals_);
      case WakeReason::gone:
        log_.info("{}: the holder is gone", name());
        return std::nullopt;
      case WakeReason::answered:
        break;
    }
    return forgotten ? std::nullopt : take_answer(*woken.answer);
  }

  /// For a look-up that waits: whether a holder is at work whose run is not there to watch yet, or
  /// one may be about to take over from a dead one.
  bool is_about_to_begin() {
    return store_.is_locked(request_.key) || (waited_ && !backoff_.is_long());
  }

  std::optional<Outcome> take_answer(Entry& answer) {
    const Record& record = answer.record();
    if (record.disposition == Disposition::unstored) {
      log_.info("{}: the result could not be shared; running uncached", name());
      if (look_up_only()) return make_outcome(OutcomeKind::absent, exit_status::absent);
      return run_uncached(request_, signals_, log_);
    }
    if (!answers_waiter(record, lookup_.policy())) return std::nullopt;
    if (!record.succeeded()) {
      if (record.is_transient_failure() && record.transient_failures < 2 && !look_up_only()) {
        transient_failures_ = record.transient_failures;
        return std::nullopt;
      }
      if (request_.on_failure == OnFailure::retry) return std::nullopt;
      if (const auto old = lookup_.take_fallback()) {
        log_.warn("{}: the command {}; serving the entry that is {}", name(),
                  describe_failure(record), describe_age(old->record(), store_.now()));
        restore_artifacts(request_, *old, signals_);
        return replay(*old, OutcomeKind::stale, store_, signals_);
      }
    }
    if (!lookup_.is_whole(answer)) return std::nullopt;
    restore_artifacts(request_, answer, signals_);
    log_.info("{}: waited; the run took {}, status {}", name(), format_duration(record.run_time),
              record.status);
    return replay(answer, OutcomeKind::waited, store_, signals_);
  }

  Outcome serve_for(const std::string& why, Entry& entry) {
    log_.info("{}: {}", name(), why);
    return serve(entry, OutcomeKind::stale);
  }

  Outcome time_out() {
    const std::string why = describe_timeout(request_, notice_);
    if (const auto old = lookup_.take_fallback()) return serve_for(why, *old);
    if (request_.on_timeout == OnTimeout::run && !look_up_only()) {
      log_.info("{}: {}; running the command without the store", name(), why);
      return run_uncached(request_, signals_, log_);
    }
    if (request_.on_timeout == OnTimeout::stale) {
      const auto entry = lookup_.take_expired();
      if (entry && lookup_.is_whole(*entry)) return serve_for(why, *entry);
    }
    log_.warn("{}: {}", name(), why);
    return make_outcome(OutcomeKind::timeout, exit_status::timed_out);
  }

  HolderRun holder_run(ProcessRole role) { return {request_, store_, signals_, log_, role}; }

  const Request& request_;
  Store& store_;
  Signals& signals_;
  const Log& log_;
  Nanoseconds deadline_;
  Lookup lookup_;
  WaitNotice notice_;
  Backoff backoff_;
  bool waited_ = false;
  uint32_t transient_failures_ = 0;
};

}  // namespace

Outcome get(const Request& request, Store& store, Signals& signals, const Log& log) {
  return Call(request, store, signals, log).carry_out();
}

}  // namespace memolock
