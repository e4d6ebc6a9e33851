#include "src/redis_store/lock.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "src/entry/token.hpp"
#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lease.hpp"
#include "src/redis_store/outcome.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/redis_store/watch.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

// How much longer than its promise a lock lives, so that its holder can end the promise while the
// lock is still there, and waiters get the failure instead of beginning anew.
constexpr Nanoseconds promise_margin = std::chrono::milliseconds(200);
// For how long a caller who gives up tries to say so: the lock expires by itself.
constexpr Nanoseconds a_moment = std::chrono::milliseconds(200);
// The same of an interrupted holder, who may have to connect anew to say it: who ends a call
// expects its end within a second.
constexpr Nanoseconds last_moment = std::chrono::milliseconds(700);

/// Has the lock, or its promise, live for at least `life` from now on, if the token holds it.
/// `retry_for`: as of RedisSession.
bool extend(RedisSession& session, const Key& key, const std::string& token, Nanoseconds life,
            Nanoseconds retry_for) {
  const std::string text = in_milliseconds(after(life, promise_margin));
  const RedisNames names = session.names(key);
  return session.with_context(key, [&] {
    return session.run_script(redis_scripts::extend, names, {token, text}, retry_for).count() == 1;
  });
}

/// For how long who keeps a promise, be it his own, tries to reach the server: sentinels, and the
/// nodes of a cluster, need some seconds to choose another primary.
Nanoseconds persistence(const RedisSettings& settings) {
  return settings.address.is_direct() ? settings.timeout
                                      : std::max(settings.timeout, settings.lease);
}

/// What the script `acquire` has said.
struct Acquired {
  Nanoseconds at{0};  // the server's clock
  StoredVersion stored;
  Nanoseconds marked_until{0};  // how long the released marker would have been there, boot clock
};

class RedisLock final : public Lock {
 public:
  /// Of a lock asked for at `asked` (boot clock).
  RedisLock(RedisStore& store, Key key, std::string token, Producer producer, Nanoseconds asked,
            const Acquired& acquired)
      : store_(store),
        session_(store.session()),
        key_(std::move(key)),
        names_(session_.names(key_)),
        condition_{std::move(token), in_microseconds(acquired.at)},
        producer_(producer),
        asked_(asked),
        acquired_(acquired.at),
        marked_until_(acquired.marked_until),
        interrupt_(session_.cutoff().interrupt),
        news_(acquired.stored != store.seen()) {}
  ~RedisLock() override { abandon(); }
  RedisLock(const RedisLock&) = delete;
  RedisLock& operator=(const RedisLock&) = delete;

  /// Before all else; what it throws has the lock released.
  void begin_lease() { lease_.emplace(store_.settings().lease, asked_, renewer()); }

  [[nodiscard]] const std::string& token() const override { return condition_.token; }
  [[nodiscard]] bool may_have_changed() const override { return news_; }
  [[nodiscard]] int lost_descriptor() const override { return lease_->lost_descriptor(); }

  void begin(const Record&) override {
    spool_ = std::make_shared<Spool>();
    // Before the moment is over after which a run lasts, a short lease might be; and whoever reads
    // what is said of the run may stall.
    constexpr std::chrono::seconds long_enough(1);
    if (store_.settings().lease < long_enough || store_.log().is_enabled(Level::info))
      start_renewal();
    session_.set_cutoff({interrupt_});  // --wait is over
  }

  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  PublishResult publish(const Record& from) override {
    Record record = from;
    record.begun = acquired_;
    record.ended = store_.now();
    // The server's time is known to within a round trip: no run is longer than its lock by that.
    record.run_time = std::clamp(record.ended - record.begun, Nanoseconds(0), record.run_time);
    const RedisOutcome outcome(session_, key_, condition_, *spool_, store_.settings().lease,
                               persistence(store_.settings()));
    is_publishing_ = true;
    try {
      if (record.disposition == Disposition::unstored || !outcome.may_take_long()) {
        end_lease();
      } else {
        start_renewal();
        outcome.upload();
      }
      if (broken_) condition_.acquired.clear();
      const PublishResult published = record.disposition == Disposition::kept ? outcome.keep(record)
                                      : record.disposition == Disposition::marked
                                          ? outcome.mark(record)
                                          : outcome.share(record);
      released_ = true;
      end_lease();  // what it asks for now comes too late to bring the lock back
      return published;
    } catch (const std::exception&) {
      if (is_interrupted()) {
        give_up();
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
    // It may have been renewed for longer while the command ran.
    (void)extend(session_, key_, condition_.token, life, store_.settings().lease);
    RedisWatch watch(store_, key_, condition_.token, store_.seen());
    for (;;) {
      WaitResult woken = watch.wait(after(boot_now(), watch.left() - promise_margin), interrupt,
                                    observer);
      if (woken.reason != WakeReason::timed_out) return woken;
      watch.refresh();
      if (watch.left() > promise_margin) continue;
      // It may have been kept, and no message have come.
      woken = watch.wait(Nanoseconds(0), interrupt, observer);
      if (woken.reason == WakeReason::gone) woken.reason = WakeReason::timed_out;
      return woken;
    }
  }

  void abandon() noexcept final {
    end_lease();
    if (released_) return;
    if (!is_interrupted()) {
      // --wait, when it made this caller give up, must not keep it from saying so.
      const Nanoseconds until = std::max(session_.cutoff().until, after(boot_now(), a_moment));
      session_.set_cutoff({interrupt_, until});
      released_ = release();
    }
    // A signal has come. What makes the server fail otherwise takes no second try.
    if (is_interrupted()) give_up();
    released_ = true;
  }

  void give_up() noexcept final {
    if (lease_) lease_->stop_now();
    lease_.reset();
    if (std::exchange(released_, true)) return;
    session_.set_cutoff(Cutoff{}.within(last_moment));
    if (!is_publishing_ && !is_renewal_unanswered_) {
      (void)release();
      return;
    }
    say_unless_done([&] {
      withdraw_redis_run(session_, key_, condition_.token, may_have_stored(),
                         store_.settings().lease, marked_until_ - boot_now());
    });
  }

 private:
  void start_renewal() override {
    if (!lease_) return;  // the run goes on, but is not shared any more
    try {
      lease_->start();
    } catch (const Error& error) {
      store_.log().info("{}", error.what());  // the lease ends by itself, and says so
    }
  }

  Lease::Renew renewer() {
    // A renewal that takes longer than its share of the lease is better begun anew.
    const Nanoseconds timeout = std::min(store_.settings().timeout, store_.settings().lease / 3);
    const auto session = std::make_shared<RedisSession>(store_.settings().address, timeout,
                                                        Cutoff{}, store_.log());
    return [key = key_, names = names_, condition = condition_, timeout, session,
            lease = in_milliseconds(store_.settings().lease), ahead = store_.now() - boot_now(),
            &broken = broken_, &unanswered = is_renewal_unanswered_](int interrupt) mutable {
      // To connect and to be answered. What is given up by then, and is still on its way, must not
      // take the lock after its release.
      const Nanoseconds in_all = 2 * timeout;
      const std::string until = in_microseconds(after(boot_now() + ahead, in_all));
      session->set_cutoff(Cutoff{interrupt}.within(in_all));
      unanswered = true;
      const std::string said = session->with_context(key, [&] {
        const RedisReply reply = session->run_script(
            redis_scripts::renew, names, {condition.token, lease, condition.acquired, until});
        if (reply.has_text()) return reply.one_of({"renewed", "lost", "broken"});
        ahead = session->set_clock(reply) - boot_now();
        throw store_error(session->error_text_of("the renewal came too late"));
      });
      unanswered = false;
      broken = said == "broken";
      return said == "renewed" ? Renewal::renewed : Renewal::stolen;
    };
  }

  /// A renewal under way is waited for, lest it takes the lock after its release.
  void end_lease() noexcept {
    if (lease_) lease_->stop(interrupt_);
    lease_.reset();
  }

  /// An entry of this token is another's where others keep the promise.
  [[nodiscard]] MayHaveStored may_have_stored() const noexcept {
    if (!is_publishing_) return MayHaveStored::nothing;
    return producer_ == Producer::external ? MayHaveStored::outcome : MayHaveStored::entry;
  }

  /// Whether a signal has come that nobody has taken.
  [[nodiscard]] bool is_interrupted() const noexcept {
    Ready ready = Ready::timed_out;
    (void)failure_of([&] { ready = await_readable(-1, interrupt_, boot_now()); });
    return ready == Ready::interrupted;
  }

  /// Returns whether it has been released; else the lock expires by itself.
  bool release() noexcept {
    return say_unless_done([&] {
      const Nanoseconds marker = marked_until_ - boot_now();
      release_redis_lock(session_, key_, condition_.token, {.marker = marker});
    });
  }

  template <typename Work>
  bool say_unless_done(const Work& work) noexcept {
    const auto failure = failure_of(work);
    if (failure) (void)failure_of([&] { store_.log().info("{}", *failure); });
    return !failure;
  }

  /// After a failure: tells the waiters, if anything can be told, to run the command themselves.
  void release_unstored(const RedisOutcome& outcome, Record record) noexcept {
    end_lease();
    // So long a waiter who missed the message takes the run for one in progress.
    constexpr std::chrono::seconds linger(2);
    const auto is_told = [&] {
      record.disposition = Disposition::unstored;
      if (!failure_of([&] { (void)outcome.share(std::move(record)); })) return true;
      return !is_interrupted() && say_unless_done([&] {
        release_redis_lock(session_, key_, condition_.token, {.lock = linger});
      });
    };
    // Where the server is out of reach, the lock expires by itself.
    if (session_.is_connected() && !is_told() && is_interrupted()) return give_up();
    released_ = true;
  }

  RedisStore& store_;
  RedisSession& session_;
  Key key_;
  RedisNames names_;
  RedisStoreCondition condition_;
  Producer producer_;
  Nanoseconds asked_;
  Nanoseconds acquired_;
  Nanoseconds marked_until_;  // boot clock
  int interrupt_;             // readable: a signal has come
  bool news_;
  bool released_ = false;
  bool is_publishing_ = false;
  std::shared_ptr<Spool> spool_;
  std::atomic<bool> broken_ =
      false;  // the lock was taken from this holder for good; the lease says
  std::atomic<bool> is_renewal_unanswered_ = false;  // it may still reach the server
  std::optional<Lease> lease_;
};

/// Releases a lock that the server may have given while nobody listened any more.
void give_back(RedisStore& store, const Key& key, const std::string& token) {
  const RedisSettings& settings = store.settings();
  const Nanoseconds timeout = std::min(settings.timeout, a_moment);
  RedisSession session(settings.address, timeout, Cutoff{}.within(2 * timeout), store.log());
  try {
    release_redis_lock(session, key, token);
  } catch (const Error& error) {
    store.log().debug("{}", error.what());  // the lock expires by itself
  }
}

/// Nothing: somebody else has the lock.
std::optional<Acquired> acquired_from(RedisSession& session, const RedisReply& reply) {
  if (reply.type() == RedisReply::Type::integer) {
    if (reply.integer() != 0) reply.refuse();
    return std::nullopt;
  }
  const auto [seconds, microseconds, token, length, outcome, marked] = reply.array<6>();
  Acquired acquired;
  acquired.at = session.set_clock(*seconds, *microseconds);
  acquired.marked_until = after(boot_now(), std::chrono::milliseconds(life_in(*marked)));
  if (!length->is_nil()) acquired.stored.entry = {token->text_or_empty(), length->count()};
  if (!outcome->is_nil()) acquired.stored.note_failure(*outcome);
  return acquired;
}

std::optional<Acquired> ask_for_lock(RedisStore& store, const Key& key, const RedisNames& names,
                                     const std::string& token) {
  const std::string lease = in_milliseconds(store.settings().lease);
  RedisSession& session = store.session();
  try {
    return session.with_context(key, [&] {
      return acquired_from(session,
                           session.run_script(redis_scripts::acquire, names, {token, lease}));
    });
  } catch (const Error&) {
    // An interrupt, or a server that was too slow; not one that has answered.
    if (!session.is_connected()) give_back(store, key, token);
    throw;
  }
}

class RedisPromise final : public Promise {
 public:
  RedisPromise(RedisStore& store, const Key& key, const std::string& token)
      : store_(store),
        key_(key),
        run_(run_of_token(key, token)),
        condition_{token, token.empty() ? "any" : ""} {
    if (!token.empty()) return;
    run_.token = condition_.token = random_name();
    run_.begun = store.now();
    run_.producer = Producer::external;
  }

  [[nodiscard]] const Record& run() const override { return run_; }
  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  [[nodiscard]] bool complete(const Record& record) override {
    const RedisOutcome outcome(store_.session(), key_, condition_, *spool_, store_.settings().lease,
                               persistence(store_.settings()));
    try {
      outcome.upload();
      const PublishResult published = record.disposition == Disposition::kept
                                          ? outcome.keep(record)
                                          : outcome.share(record);
      return published != PublishResult::lost;
    } catch (const Error& error) {
      if (error.kind() == Error::Kind::interrupted) discard_upload();
      throw;
    }
  }

  [[nodiscard]] bool renew(std::optional<Nanoseconds> life) override {
    const auto parts = parse_token(condition_.token);
    const Nanoseconds lease = parts ? parts->lease.value_or(default_lease) : default_lease;
    return extend(store_.session(), key_, condition_.token, life.value_or(lease),
                  persistence(store_.settings()));
  }

 private:
  /// The owner of a token may try again with it.
  void discard_upload() noexcept {
    store_.session().set_cutoff(Cutoff{}.within(last_moment));
    const auto failure = failure_of(
        [&] { discard_redis_upload(store_.session(), key_, condition_.token); });
    // Then it expires by itself.
    if (failure) (void)failure_of([&] { store_.log().info("{}", *failure); });
  }

  RedisStore& store_;
  Key key_;
  Record run_;
  RedisStoreCondition condition_;
  std::shared_ptr<Spool> spool_ = std::make_shared<Spool>();
};

}  // namespace

std::unique_ptr<Lock> acquire_redis_lock(RedisStore& store, const Key& key, Producer producer) {
  const RedisNames names = store.session().names(key);  // its node is asked for the time, too
  const std::string token = new_token(
      {this_process(), store.now(), producer, store.settings().lease});
  const Nanoseconds asked = boot_now();
  const auto acquired = ask_for_lock(store, key, names, token);
  if (!acquired) return nullptr;
  auto lock = std::make_unique<RedisLock>(store, key, token, producer, asked, *acquired);
  lock->begin_lease();
  return lock;
}

std::unique_ptr<Promise> redis_promise(RedisStore& store, const Key& key,
                                       const std::string& token) {
  const RedisNames names = store.session().names(key);  // all that follows goes to its node
  if (!token.empty()) {
    const bool is_its = store.session().with_context(key, [&] {
      auto answers = store.session().read({{"GET", names.lock}}, persistence(store.settings()));
      return holder_in(answers.next()) == token;
    });
    if (!is_its) return nullptr;
  }
  return std::make_unique<RedisPromise>(store, key, token);
}

}  // namespace memolock
