// A run in the Redis store, seen by one who waits for it.
#pragma once

#include <optional>
#include <string>

#include "src/redis/names.hpp"
#include "src/redis_store/store.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// The state of an entry at one instant.
struct RedisState {
  std::string holder;               ///< token; empty: nobody
  std::optional<Nanoseconds> left;  ///< of the lock's life; none: it never expires
  std::string last_run;             ///< token of the outcome that is not kept
  std::string forgotten;            ///< token of the run that `del` came upon
  StoredVersion stored;
};

class RedisWatch final : public Watch {
 public:
  /// Subscribes to what happens to `key`, and reads its state. Throws Error(store).
  RedisWatch(RedisStore& store, Key key);
  /// The same for the run of `token`, which may have ended: what is stored counts as its outcome
  /// unless it was there `before`.
  RedisWatch(RedisStore& store, Key key, const std::string& token, StoredVersion before);

  [[nodiscard]] bool is_on() const { return !state_.holder.empty(); }
  [[nodiscard]] const Record& run() const override { return run_; }
  [[nodiscard]] bool forgotten() const override { return state_.forgotten == run_.token; }
  [[nodiscard]] bool may_have_changed() const override { return !(state_.stored == store_.seen()); }
  [[nodiscard]] WaitResult wait(Nanoseconds deadline, int interrupt,
                                WaitObserver& observer) override;

  /// How long the lock lives unless it is renewed, as of the last look.
  [[nodiscard]] Nanoseconds left() const { return state_.left.value_or(Nanoseconds(0)); }
  /// Looks again. Tries to reconnect for as long as a waiter may, but not beyond `deadline`.
  void refresh(Nanoseconds deadline = forever);

 private:
  [[nodiscard]] RedisState read_state(Nanoseconds retry_for);
  void note_lock();
  [[nodiscard]] WaitResult sleep(Nanoseconds deadline, int interrupt, WaitObserver& observer);
  [[nodiscard]] RedisSession::Awaited await_message(Nanoseconds until, int interrupt,
                                                    WaitObserver& observer);
  [[nodiscard]] Nanoseconds next_check() const;
  [[nodiscard]] std::optional<WaitResult> judge();

  RedisStore& store_;
  RedisSession& session_;
  Key key_;
  RedisNames names_;
  RedisState state_;
  Nanoseconds looked_{0};   // when that was, boot clock
  Nanoseconds expires_{0};  // when the run's lock ends unless it was renewed since it was last seen
  StoredVersion before_;    // what was stored when this watch began
  Record run_;
  bool cut_off_ = false;    // the connection was lost since the run's lock was seen
  bool announced_ = false;  // something was stored since
  bool ended_ = false;      // the holder said so
};

}  // namespace memolock
