// Waits for a run in the Redis store.
#pragma once

#include <optional>
#include <string>

#include "src/redis/names.hpp"
#include "src/redis/session.hpp"
#include "src/redis_store/context.hpp"
#include "src/redis_store/entry.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// The state of an entry at one moment.
struct RedisEntryState {
  std::string holder;                        ///< token; empty: the lock is free
  std::optional<Nanoseconds> lock_lifetime;  ///< nothing: the lock does not expire
  std::string last_run;                      ///< token of the last outcome that is not an entry
  std::string forgotten;                     ///< token of the run during which `del` was called
  StoredVersion stored;
};

/// See Watch. Messages may get lost, so the state is also read again whenever the lock may have
/// expired.
class RedisWatch final : public Watch {
 public:
  /// Subscribes to the channels of `key` and reads its state. Throws Error(store).
  RedisWatch(RedisStoreContext& context, Key key);
  /// The same for the run of `token`, which may have ended: the stored data is assumed to be its
  /// outcome unless it equals `before`.
  RedisWatch(RedisStoreContext& context, Key key, const std::string& token, StoredVersion before);

  /// Whether the lock was held when the state was last read.
  [[nodiscard]] bool is_running() const { return !state_.holder.empty(); }
  [[nodiscard]] const Record& run_record() const override { return run_; }
  [[nodiscard]] bool forgotten() const override { return state_.forgotten == run_.token; }
  [[nodiscard]] bool may_have_changed() const override {
    return state_.stored != context_.last_seen;
  }
  [[nodiscard]] WaitResult wait(Nanoseconds deadline, int interrupt,
                                WaitObserver& observer) override;

  /// The remaining time of the lock when the state was last read; also 0 if the lock does not
  /// expire.
  [[nodiscard]] Nanoseconds lock_lifetime() const {
    return state_.lock_lifetime.value_or(Nanoseconds(0));
  }
  /// Reads the state again. Tries to reconnect for at most a lease, and not beyond `deadline`.
  void refresh(Nanoseconds deadline = forever);

 private:
  [[nodiscard]] RedisEntryState read_state(Nanoseconds retry_for);
  void note_expiry();
  [[nodiscard]] WaitResult sleep(Nanoseconds deadline, int interrupt, WaitObserver& observer);
  [[nodiscard]] RedisSession::AwaitedMessage await_message(Nanoseconds until, int interrupt,
                                                           WaitObserver& observer);
  [[nodiscard]] Nanoseconds time_to_next_check() const;
  [[nodiscard]] std::optional<WaitResult> result_of_state();

  RedisStoreContext& context_;
  RedisSession& session_;
  Key key_;
  RedisNames names_;
  RedisEntryState state_;
  Nanoseconds read_at_{0};     // when the state was read, boot clock
  Nanoseconds expires_at_{0};  // when the run's lock expires, as last seen, boot clock
  StoredVersion before_;       // the data that was stored when this watch began
  Record run_;
  bool was_disconnected_ = false;  // since the run's lock was last seen
  bool was_published_ = false;     // an entry was published since this watch began
  bool holder_has_ended_ = false;  // the holder has published the end of its run
};

}  // namespace memolock
