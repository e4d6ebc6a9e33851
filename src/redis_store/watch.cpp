#include "src/redis_store/watch.hpp"

#include <algorithm>
#include <utility>

#include "src/entry/token.hpp"
#include "src/redis_store/entry.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;

// After messages that have told nothing new, ever more of them.
constexpr Nanoseconds least_pause = milliseconds(1);
constexpr Nanoseconds longest_pause = milliseconds(100);

WaitResult answered_by(std::unique_ptr<Entry> answer) {
  if (!answer) return {WakeReason::gone, nullptr};
  return {WakeReason::answered, std::move(answer)};
}

}  // namespace

RedisWatch::RedisWatch(RedisStore& store, Key key)
    : store_(store), session_(store.session()), key_(std::move(key)), names_(session_.names(key_)) {
  state_ = read_state(Nanoseconds(0));
  before_ = state_.stored;
  run_ = run_of_token(key_, state_.holder);
  note_lock();
}

RedisWatch::RedisWatch(RedisStore& store, Key key, const std::string& token, StoredVersion before)
    : store_(store),
      session_(store.session()),
      key_(std::move(key)),
      names_(session_.names(key_)),
      before_(std::move(before)),
      run_(run_of_token(key_, token)) {
  refresh();
}

/// A waiter learns within a lease and a half of its last look what has become of the run, or of the
/// server.
void RedisWatch::refresh(Nanoseconds deadline) {
  const Nanoseconds lease = store_.settings().lease;
  const Nanoseconds now = boot_now();
  const Nanoseconds left = std::max(after(looked_, after(lease, lease / 2)) - now, lease / 2);
  state_ = read_state(std::min({lease, left, deadline - now}));
  note_lock();
}

void RedisWatch::note_lock() {
  looked_ = boot_now();
  if (state_.holder != run_.token) return;
  cut_off_ = false;
  expires_ = after(looked_, state_.left.value_or(Nanoseconds(0)));
}

WaitResult RedisWatch::wait(Nanoseconds deadline, int interrupt, WaitObserver& observer) {
  try {
    return sleep(deadline, interrupt, observer);
  } catch (const Error& error) {
    // Who has no more time for the server need not know what is wrong with it.
    if (error.kind() != Error::Kind::store || boot_now() < deadline) throw;
    return {WakeReason::timed_out, nullptr};
  }
}

RedisSession::Awaited RedisWatch::await_message(Nanoseconds until, int interrupt,
                                                WaitObserver& observer) {
  for (;;) {
    auto awaited = session_.await_message(std::min(until, observer.next_notice()), interrupt);
    if (awaited.ready != Ready::timed_out || boot_now() >= until) return awaited;
    observer.still_waiting();
  }
}

WaitResult RedisWatch::sleep(Nanoseconds deadline, int interrupt, WaitObserver& observer) {
  // A look-up has ended the subscription.
  if (!session_.is_subscribed()) refresh(deadline);
  Nanoseconds pause{0};
  for (bool is_first = true;; is_first = false) {
    if (auto woken = judge()) return std::move(*woken);
    // A server that always has something to say must neither outlast the wait nor take the
    // processor.
    if (!is_first && boot_now() >= deadline) return {WakeReason::timed_out, nullptr};
    if (pause > Nanoseconds(0) &&
        await_readable(-1, interrupt, after(boot_now(), pause)) == Ready::interrupted)
      return {WakeReason::interrupted, nullptr};
    const Nanoseconds check_at = after(boot_now(), next_check());
    const bool was_subscribed = session_.is_subscribed();
    const auto awaited = await_message(std::min(deadline, check_at), interrupt, observer);
    if (was_subscribed && !session_.is_subscribed()) cut_off_ = true;
    if (awaited.ready == Ready::interrupted) return {WakeReason::interrupted, nullptr};
    pause = awaited.ready == Ready::readable ? std::min(2 * pause + least_pause, longest_pause)
                                             : Nanoseconds(0);
    if (awaited.ready == Ready::timed_out && boot_now() >= deadline)
      return {WakeReason::timed_out, nullptr};
    if (awaited.message.channel == names_.notif) {
      announced_ = true;
      // Of a crowd, each is spared a look at the rest.
      if (auto entry = store_.look_up(key_)) return {WakeReason::answered, std::move(entry)};
    }
    if (awaited.message.channel == names_.fail && awaited.message.payload == run_.token)
      ended_ = true;
    refresh(deadline);
  }
}

RedisState RedisWatch::read_state(Nanoseconds retry_for) {
  return session_.with_context(key_, [&] {
    RedisAnswers answers = session_.subscribe(names_,
                                              {{"TIME"},
                                               {"GET", names_.lock},
                                               {"PTTL", names_.lock},
                                               {"HMGET", names_.run, "token", "forgotten"},
                                               {"HGET", names_.meta, "token"},
                                               {"EXISTS", names_.value},
                                               {"STRLEN", names_.value},
                                               {"HMGET", names_.run, "token", "fate"}},
                                              retry_for);
    (void)session_.set_clock(answers.next());
    RedisState state;
    state.holder = holder_in(answers.next());
    const int64_t left = life_in(answers.next());
    if (!state.holder.empty() && left >= 0) state.left = milliseconds(left);
    const RedisReply run = answers.next();
    const auto [last_run, forgotten] = run.array<2>();
    state.last_run = last_run->text_or_empty();
    state.forgotten = forgotten->text_or_empty();
    const RedisReply token = answers.next();
    const bool has_value = answers.next().count() > 0;
    const uint64_t length = answers.next().count();
    if (has_value) state.stored.entry = {token.text_or_empty(), length};
    state.stored.note_failure(answers.next());
    return state;
  });
}

/// When to look again though no message came: when the lock may have expired. A lock without end is
/// a foreign client's; the check tells then that the connection still stands.
Nanoseconds RedisWatch::next_check() const {
  constexpr milliseconds slack(5);
  constexpr std::chrono::minutes longest(1);
  const Nanoseconds left = state_.holder.empty() ? expires_ - boot_now()
                                                 : state_.left.value_or(store_.settings().lease);
  return std::min<Nanoseconds>(left + slack, longest);
}

/// What the state means for one who waits for this run; nothing: it goes on.
std::optional<WaitResult> RedisWatch::judge() {
  if (state_.last_run == run_.token) return answered_by(store_.last_outcome(key_));
  const bool is_kept = state_.stored.entry && state_.stored.entry->first == run_.token;
  const bool is_new = announced_ || state_.stored.entry != before_.entry;
  if (is_kept || (state_.stored.entry && is_new)) return answered_by(store_.look_up(key_));
  // A server that came back without the lock says nothing of its holder, who takes it again.
  const bool may_live = state_.holder.empty() && cut_off_ && !announced_ && boot_now() < expires_;
  if (may_live && !ended_) return std::nullopt;
  if (state_.holder != run_.token) return WaitResult{WakeReason::gone, nullptr};
  if (!ended_) return std::nullopt;
  Record unstored = run_;
  unstored.disposition = Disposition::unstored;
  return answered_by(
      std::make_unique<RedisEntry>(std::move(unstored), RedisString{}, RedisString{}));
}

}  // namespace memolock
