// The store that many machines share: a Redis or Valkey server, with the names of redis-memolock
// (redis/names.hpp), so that memolock and the clients of redis-memolock share entries and locks.
//
// The value is a string with the stdout of the last stored run. The meta, a hash, has all other
// data. The meta belongs to the value only if the value has the length and hash in the meta: any
// other value was stored by a foreign client. The lock is a string with the holder's token. It
// expires after one lease, and is renewed every third of a lease. All operations that must be
// atomic are scripts (redis_store/scripts.hpp) or transactions:
//
// - A look-up reads value and meta, and the artifacts if requested, in one round trip.
// - Acquiring takes the lock and reports whether new data has been stored.
// - The end of a run stores value and meta, releases the lock and notifies the waiters. A small
//   value is published on value_channel, where foreign clients use it as the answer. In all other
//   cases (a large value, a failure, an interrupted run), a token is published on state_channel, to
//   which foreign clients do not subscribe.
// - A waiter subscribes to both channels and reads the state in one round trip, sleeps until a
//   message arrives or the lock may have expired, and reads the state again. Messages may get lost.
//
// The lock of a foreign client does not contain a token of memolock, so nothing is known about its
// holder.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/redis_store/context.hpp"
#include "src/redis_store/scan.hpp"
#include "src/redis_store/settings.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"

namespace memolock {

class RedisStore final : public Store {
 public:
  /// Connects at the first request. `wait_limit`: the limit of requests until a run begins. Keeps a
  /// reference to `log`.
  RedisStore(RedisSettings settings, const WaitLimit& wait_limit, const Log& log);

  [[nodiscard]] Nanoseconds now() override { return session_.now(); }
  void include_artifacts() override { context_.includes_artifacts = true; }
  void end_wait_limit() override { session_.set_wait_limit({session_.wait_limit().interrupt}); }
  [[nodiscard]] std::unique_ptr<Entry> look_up(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Entry> look_up_failure(const Key& key) override;
  [[nodiscard]] std::optional<Record> look_up_mark(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Lock> try_acquire(const Key& key, Producer producer) override;
  [[nodiscard]] std::unique_ptr<Watch> watch_run(const Key& key) override;
  [[nodiscard]] std::unique_ptr<Promise> open_promise(const Key& key,
                                                      const std::string& token) override;
  [[nodiscard]] bool is_locked(const Key& key) override;
  [[nodiscard]] bool exists(const Key& key) override;
  bool forget(const Key& key) override;
  size_t forget_all(const std::string& tag, Ownership ownership) override;
  bool break_lock(const Key& key) override;
  void on_progress(Progress report) override { report_progress_ = std::move(report); }
  void list(const std::optional<std::string>& tag,
            const std::function<void(const ListedEntry&)>& each) override;

 private:
  /// What to do with an entry if one of its keys has a type that memolock does not store there.
  enum class ForeignType { leave_entry, forget_too };
  /// Returns whether there was anything to delete; nothing if the entry was not deleted because of
  /// a foreign type.
  std::optional<bool> forget_entry(const Key& key, Ownership ownership, ForeignType foreign_type);

  RedisStoreContext context_;
  RedisSession& session_;
  RedisScan scan_;
  Progress report_progress_ = [](std::string_view, size_t) {};
};

}  // namespace memolock
