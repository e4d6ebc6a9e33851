#include "src/redis_store/watch.hpp"

#include <algorithm>
#include <utility>

#include "src/entry/token.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/lookup.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;

// The pause after a message grows, so that a stream of messages does not occupy the processor.
constexpr Nanoseconds least_pause = milliseconds(1);
constexpr Nanoseconds longest_pause = milliseconds(100);

WaitResult answered_by(std::unique_ptr<Entry> answer) {
  if (!answer) return {WakeReason::gone, nullptr};
  return {WakeReason::answered, std::move(answer)};
}

}  // namespace

RedisWatch::RedisWatch(RedisStoreContext& context, Key key)
    : context_(context),
      session_(context.session),
      key_(std::move(key)),
      names_(session_.route_to(key_)) {
  state_ = read_state(Nanoseconds(0));
  before_ = state_.stored;
  run_ = run_of_token(key_, state_.holder);
  note_expiry();
}

RedisWatch::RedisWatch(RedisStoreContext& context, Key key, const std::string& token,
                       StoredVersion before)
    : context_(context),
      session_(context.session),
      key_(std::move(key)),
      names_(session_.route_to(key_)),
      before_(std::move(before)),
      run_(run_of_token(key_, token)) {
  refresh();
}

/// Within one and a half leases after it last read the state, a waiter detects how the run has
/// ended, or that the server cannot be reached.
void RedisWatch::refresh(Nanoseconds deadline) {
  const Nanoseconds lease = context_.settings.lease;
  const Nanoseconds now = boot_now();
  const Nanoseconds left = std::max(after(read_at_, after(lease, lease / 2)) - now, lease / 2);
  state_ = read_state(std::min({lease, left, deadline - now}));
  note_expiry();
}

void RedisWatch::note_expiry() {
  read_at_ = boot_now();
  if (state_.holder != run_.token) return;
  was_disconnected_ = false;
  expires_at_ = after(read_at_, state_.lock_lifetime.value_or(Nanoseconds(0)));
}

WaitResult RedisWatch::wait(Nanoseconds deadline, int interrupt, WaitObserver& observer) {
  try {
    return sleep(deadline, interrupt, observer);
  } catch (const Error& error) {
    // Once the deadline has passed, the timeout is reported rather than an error of the server.
    if (error.kind() != Error::Kind::store || boot_now() < deadline) throw;
    return {WakeReason::timed_out, nullptr};
  }
}

RedisSession::AwaitedMessage RedisWatch::await_message(Nanoseconds until, int interrupt,
                                                       WaitObserver& observer) {
  for (;;) {
    auto awaited = session_.await_message(std::min(until, observer.next_notice()), interrupt);
    if (awaited.end != WaitEnd::timed_out || boot_now() >= until) return awaited;
    observer.still_waiting();
  }
}

WaitResult RedisWatch::sleep(Nanoseconds deadline, int interrupt, WaitObserver& observer) {
  // A look-up ends the subscription.
  if (!session_.is_subscribed()) refresh(deadline);
  Nanoseconds pause{0};
  for (bool is_first = true;; is_first = false) {
    if (auto result = result_of_state()) return std::move(*result);
    // A server that keeps sending messages must not prolong the wait.
    if (!is_first && boot_now() >= deadline) return {WakeReason::timed_out, nullptr};
    if (pause > Nanoseconds(0) &&
        await_readable(-1, interrupt, after(boot_now(), pause)) == WaitEnd::interrupted)
      return {WakeReason::interrupted, nullptr};
    const Nanoseconds check_at = after(boot_now(), time_to_next_check());
    const bool was_subscribed = session_.is_subscribed();
    const auto awaited = await_message(std::min(deadline, check_at), interrupt, observer);
    if (was_subscribed && !session_.is_subscribed()) was_disconnected_ = true;
    if (awaited.end == WaitEnd::interrupted) return {WakeReason::interrupted, nullptr};
    pause = awaited.end == WaitEnd::readable ? std::min(2 * pause + least_pause, longest_pause)
                                             : Nanoseconds(0);
    if (awaited.end == WaitEnd::timed_out && boot_now() >= deadline)
      return {WakeReason::timed_out, nullptr};
    if (awaited.message.channel == names_.value_channel) {
      was_published_ = true;
      // Most waiters need nothing else, so the rest of the state is not read.
      if (auto entry = look_up_entry(context_, key_))
        return {WakeReason::answered, std::move(entry)};
    }
    if (awaited.message.channel == names_.state_channel && awaited.message.payload == run_.token)
      holder_has_ended_ = true;
    refresh(deadline);
  }
}

RedisEntryState RedisWatch::read_state(Nanoseconds retry_for) {
  return session_.with_context(key_, [&] {
    RedisReplies replies = session_.subscribe(names_,
                                              {{"TIME"},
                                               {"GET", names_.lock},
                                               {"PTTL", names_.lock},
                                               {"HMGET", names_.run_state, "token", "forgotten"},
                                               {"HGET", names_.meta, "token"},
                                               {"EXISTS", names_.value},
                                               {"STRLEN", names_.value},
                                               {"HMGET", names_.run_state, "token", "fate"}},
                                              retry_for);
    (void)session_.set_clock(replies.next());
    RedisEntryState state;
    state.holder = read_lock_holder(replies.next());
    const int64_t pttl = read_pttl(replies.next());
    if (!state.holder.empty() && pttl >= 0) state.lock_lifetime = milliseconds(pttl);
    const RedisReply run = replies.next();
    const auto [last_run, forgotten] = run.array<2>();
    state.last_run = last_run->text_or_empty();
    state.forgotten = forgotten->text_or_empty();
    const RedisReply token = replies.next();
    const bool has_value = replies.next().count() > 0;
    const uint64_t length = replies.next().count();
    if (has_value) state.stored.entry = {token.text_or_empty(), length};
    state.stored.note_failure(replies.next());
    return state;
  });
}

/// How long until the state is read again if no message arrives: until the lock may have expired. A
/// lock that does not expire belongs to a foreign client; the check then serves to detect a lost
/// connection.
Nanoseconds RedisWatch::time_to_next_check() const {
  constexpr milliseconds slack(5);
  constexpr std::chrono::minutes longest(1);
  const Nanoseconds left = state_.holder.empty()
                               ? expires_at_ - boot_now()
                               : state_.lock_lifetime.value_or(context_.settings.lease);
  return std::min<Nanoseconds>(left + slack, longest);
}

/// The result of the wait according to the state; nothing if the wait continues.
std::optional<WaitResult> RedisWatch::result_of_state() {
  if (state_.last_run == run_.token) return answered_by(read_last_outcome(context_, key_));
  const bool is_kept = state_.stored.entry && state_.stored.entry->first == run_.token;
  const bool is_new = was_published_ || state_.stored.entry != before_.entry;
  if (is_kept || (state_.stored.entry && is_new)) return answered_by(look_up_entry(context_, key_));
  // The server may have been restarted without the lock; its holder may still be running, and take
  // it again.
  const bool may_live = state_.holder.empty() && was_disconnected_ && !was_published_ &&
                        boot_now() < expires_at_;
  if (may_live && !holder_has_ended_) return std::nullopt;
  if (state_.holder != run_.token) return WaitResult{WakeReason::gone, nullptr};
  if (!holder_has_ended_) return std::nullopt;
  Record unstored = run_;
  unstored.disposition = Disposition::unstored;
  return answered_by(
      std::make_unique<RedisEntry>(std::move(unstored), RedisString{}, RedisString{}));
}

}  // namespace memolock
