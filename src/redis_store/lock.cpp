#include "src/redis_store/lock.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/entry/token.hpp"
#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lease.hpp"
#include "src/redis_store/lock_requests.hpp"
#include "src/redis_store/outcome.hpp"
#include "src/redis_store/renewer.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/redis_store/watch.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

// How long a call that gives up tries to release the lock. Otherwise the lock expires.
constexpr Nanoseconds release_limit = std::chrono::milliseconds(200);

/// The result of the script `acquire` if it has taken the lock.
struct Acquired {
  Nanoseconds at{0};  // the server's clock
  StoredVersion stored;
  Nanoseconds marker_end{0};  // when the released marker would have expired, boot clock
};

class RedisLock final : public Lock {
 public:
  /// `requested`: when the lock was requested, boot clock.
  RedisLock(RedisStoreContext& context, Key key, std::string token, Producer producer,
            Nanoseconds requested, const Acquired& acquired)
      : context_(context),
        session_(context.session),
        key_(std::move(key)),
        names_(session_.route_to(key_)),
        permission_{std::move(token), in_microseconds(acquired.at)},
        producer_(producer),
        requested_(requested),
        acquired_(acquired.at),
        marker_end_(acquired.marker_end),
        interrupt_(session_.wait_limit().interrupt),
        may_have_changed_(acquired.stored != context.last_seen) {}
  ~RedisLock() override { abandon(); }
  RedisLock(const RedisLock&) = delete;
  RedisLock& operator=(const RedisLock&) = delete;

  /// To be called before anything else. If it throws, the destructor releases the lock.
  void begin_lease() {
    renewer_.emplace(context_.settings, key_, names_, permission_, session_.now() - boot_now(),
                     context_.log);
    lease_.emplace(context_.settings.lease, requested_,
                   [this](int cancel) { return renewer_->renew(cancel); });
  }

  [[nodiscard]] const std::string& token() const override { return permission_.token; }
  [[nodiscard]] bool may_have_changed() const override { return may_have_changed_; }
  [[nodiscard]] int lease_lost_descriptor() const override {
    return lease_->lease_lost_descriptor();
  }

  void begin(const Record&) override {
    spool_ = std::make_shared<Spool>();
    // A short lease may end before arm_keepalive() is called, because a reader of the messages
    // about the run may stall.
    constexpr std::chrono::seconds long_enough(1);
    if (context_.settings.lease < long_enough || context_.log.is_enabled(Level::info))
      start_renewal();
    session_.set_wait_limit({interrupt_});  // the limit of --wait no longer applies
  }

  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  PublishResult publish(const Record& from) override {
    Record record = from;
    record.begun = acquired_;
    record.ended = session_.now();
    // The server's clock is known only to within a round trip, but a run must not seem to have
    // lasted longer than its lock.
    record.run_time = std::clamp(record.ended - record.begun, Nanoseconds(0), record.run_time);
    const RedisOutcome outcome(session_, key_, permission_, *spool_, context_.settings.lease,
                               context_.settings.failover_timeout());
    is_publishing_ = true;
    try {
      if (record.disposition == Disposition::unstored || !outcome.may_take_long()) {
        end_lease();
      } else {
        start_renewal();
        outcome.upload();
      }
      if (renewer_->is_lock_broken()) permission_.acquired_or_rule.clear();
      const PublishResult published = send(outcome, record);
      is_released_ = true;
      end_lease();  // a renewal can no longer take the lock
      return published;
    } catch (const std::exception&) {
      if (is_interrupted()) {
        abandon_quickly();
        return PublishResult::interrupted;
      }
      if (record.disposition == Disposition::marked) {
        abandon();
      } else {
        release_unstored(outcome, std::move(record));
      }
      throw;
    }
  }

  [[nodiscard]] WaitResult await_promise(Nanoseconds life, int interrupt,
                                         WaitObserver& observer) override {
    end_lease();
    // Does not shorten a longer time: others may have extended the lock while the command ran.
    (void)extend_redis_lock(session_, key_, permission_.token, life, context_.settings.lease);
    RedisWatch watch(context_, key_, permission_.token, context_.last_seen);
    for (;;) {
      WaitResult result = watch.wait(after(boot_now(), watch.lock_lifetime() - promise_margin),
                                     interrupt, observer);
      if (result.reason != WakeReason::timed_out) return result;
      watch.refresh();
      if (watch.lock_lifetime() > promise_margin) continue;
      // The promise may have been completed and the message lost.
      result = watch.wait(Nanoseconds(0), interrupt, observer);
      if (result.reason == WakeReason::gone) result.reason = WakeReason::timed_out;
      return result;
    }
  }

  void abandon() noexcept final {
    end_lease();
    if (is_released_) return;
    if (!is_interrupted()) {
      // Even if the limit of --wait has passed, the request needs some time.
      const Nanoseconds until = std::max(session_.wait_limit().until,
                                         after(boot_now(), release_limit));
      session_.set_wait_limit({interrupt_, until});
      is_released_ = release();
    }
    // A signal arrived meanwhile. Any other failure is not worth a second attempt.
    if (is_interrupted()) abandon_quickly();
    is_released_ = true;
  }

  void abandon_quickly() noexcept final {
    if (lease_) lease_->stop_now();
    drop_lease();
    if (std::exchange(is_released_, true)) return;
    session_.set_wait_limit(WaitLimit{}.within(interrupted_call_limit));
    if (!is_publishing_ && !is_renewal_unanswered()) {
      (void)release();
      return;
    }
    log_failure([&] {
      withdraw_redis_run(session_, key_, permission_.token, may_have_stored(),
                         context_.settings.lease, marker_end_ - boot_now());
    });
  }

 private:
  void start_renewal() override {
    if (!lease_) return;  // the run continues, but is no longer shared
    try {
      lease_->start();
    } catch (const Error& error) {
      context_.log.info("{}",
                        error.what());  // the lease expires, and lease_lost_descriptor() says so
    }
  }

  [[nodiscard]] static PublishResult send(const RedisOutcome& outcome, const Record& record) {
    if (record.disposition == Disposition::kept) return outcome.keep(record);
    if (record.disposition == Disposition::marked) return outcome.mark(record);
    return outcome.share(record);
  }

  /// Ends the renewals. Waits for a renewal in progress, because it could take the lock after its
  /// release.
  void end_lease() noexcept {
    if (lease_) lease_->stop(interrupt_);
    drop_lease();
  }

  void drop_lease() noexcept {
    lease_.reset();
    if (renewer_) renewer_->disconnect();
  }

  /// With Producer::external, an entry with this token has been stored by another process.
  [[nodiscard]] MayHaveStored may_have_stored() const noexcept {
    if (!is_publishing_) return MayHaveStored::nothing;
    return producer_ == Producer::external ? MayHaveStored::outcome : MayHaveStored::entry;
  }

  /// Whether a renewal got no reply and may still reach the server.
  [[nodiscard]] bool is_renewal_unanswered() const noexcept {
    return renewer_ && renewer_->is_unanswered();
  }

  /// Whether a signal is pending.
  [[nodiscard]] bool is_interrupted() const noexcept {
    WaitEnd end = WaitEnd::timed_out;
    (void)failure_of([&] { end = await_readable(-1, interrupt_, boot_now()); });
    return end == WaitEnd::interrupted;
  }

  /// Returns whether the lock has been released; otherwise it expires.
  bool release() noexcept {
    return log_failure([&] {
      const Nanoseconds marker = marker_end_ - boot_now();
      release_redis_lock(session_, key_, permission_.token, {.marker = marker});
    });
  }

  /// Returns whether `work` has succeeded.
  template <typename Work>
  bool log_failure(const Work& work) noexcept {
    const auto failure = failure_of(work);
    if (failure) (void)failure_of([&] { context_.log.info("{}", *failure); });
    return !failure;
  }

  /// After publish() has failed: lets the waiters run the command themselves, if they can be
  /// reached.
  void release_unstored(const RedisOutcome& outcome, Record record) noexcept {
    end_lease();
    // How long a waiter that missed the message assumes that the run is still in progress.
    constexpr std::chrono::seconds linger(2);
    const auto notify_waiters = [&] {
      record.disposition = Disposition::unstored;
      if (!failure_of([&] { (void)outcome.share(std::move(record)); })) return true;
      return !is_interrupted() && log_failure([&] {
        release_redis_lock(session_, key_, permission_.token, {.lock = linger});
      });
    };
    // If the server cannot be reached, the lock expires.
    if (session_.is_connected() && !notify_waiters() && is_interrupted()) return abandon_quickly();
    is_released_ = true;
  }

  RedisStoreContext& context_;
  RedisSession& session_;
  Key key_;
  RedisNames names_;
  RedisWritePermission permission_;
  Producer producer_;
  Nanoseconds requested_;   // boot clock
  Nanoseconds acquired_;    // the server's clock
  Nanoseconds marker_end_;  // boot clock
  int interrupt_;           // readable when a signal is pending
  bool may_have_changed_;
  bool is_released_ = false;
  bool is_publishing_ = false;
  std::shared_ptr<Spool> spool_;
  std::optional<RedisRenewer> renewer_;
  std::optional<Lease> lease_;  // calls the renewer, so it must be destroyed first
};

/// Releases a lock that the server may have granted although its reply did not arrive.
void release_unconfirmed(const RedisStoreContext& context, const Key& key,
                         const std::string& token) {
  const RedisSettings& settings = context.settings;
  const Nanoseconds timeout = std::min(settings.timeout, release_limit);
  RedisSession session(settings.address, timeout, WaitLimit{}.within(2 * timeout), context.log);
  try {
    release_redis_lock(session, key, token);
  } catch (const Error& error) {
    context.log.debug("{}", error.what());  // the lock expires
  }
}

/// Nothing if another process holds the lock.
std::optional<Acquired> parse_acquired(RedisSession& session, const RedisReply& reply) {
  if (reply.type() == RedisReply::Type::integer) {
    if (reply.integer() != 0) reply.throw_unexpected();
    return std::nullopt;
  }
  const auto [seconds, microseconds, token, length, outcome, marked] = reply.array<6>();
  Acquired acquired;
  acquired.at = session.set_clock(*seconds, *microseconds);
  acquired.marker_end = after(boot_now(), std::chrono::milliseconds(read_pttl(*marked)));
  if (!length->is_nil()) acquired.stored.entry = {token->text_or_empty(), length->count()};
  if (!outcome->is_nil()) acquired.stored.note_failure(*outcome);
  return acquired;
}

std::optional<Acquired> request_lock(RedisStoreContext& context, const Key& key,
                                     const RedisNames& names, const std::string& token) {
  const std::string lease = in_milliseconds(context.settings.lease);
  RedisSession& session = context.session;
  try {
    return session.with_context(key, [&] {
      return parse_acquired(session,
                            session.run_script(redis_scripts::acquire, names, {token, lease}));
    });
  } catch (const Error&) {
    // After an interrupt or a timeout there is no connection; after an error reply there is one.
    if (!session.is_connected()) release_unconfirmed(context, key, token);
    throw;
  }
}

}  // namespace

std::unique_ptr<Lock> acquire_redis_lock(RedisStoreContext& context, const Key& key,
                                         Producer producer) {
  RedisSession& session = context.session;
  const RedisNames names = session.route_to(key);  // now() also asks the entry's node
  const std::string token = new_token(
      {this_process(), session.now(), producer, context.settings.lease});
  const Nanoseconds requested = boot_now();
  const auto acquired = request_lock(context, key, names, token);
  if (!acquired) return nullptr;
  auto lock = std::make_unique<RedisLock>(context, key, token, producer, requested, *acquired);
  lock->begin_lease();
  return lock;
}

}  // namespace memolock
