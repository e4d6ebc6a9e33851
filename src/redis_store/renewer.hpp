// The request that renews a lock.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "src/entry/key.hpp"
#include "src/redis/names.hpp"
#include "src/redis/session.hpp"
#include "src/redis_store/lease.hpp"
#include "src/redis_store/outcome.hpp"
#include "src/redis_store/settings.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// Renews a lock on a separate connection, so that the store's requests and the renewals do not
/// wait for each other. Only the lease's thread calls renew(); any thread may call the predicates
/// (is_…).
class RedisRenewer {
 public:
  /// `ahead`: how far the server's clock is ahead of the boot clock. Keeps a reference to `log`.
  RedisRenewer(const RedisSettings& settings, Key key, RedisNames names,
               RedisWritePermission permission, Nanoseconds ahead, const Log& log);

  /// Renews the lock for the lease, or takes it again if it has vanished. Throws Error, also if the
  /// descriptor `cancel` becomes readable.
  [[nodiscard]] Renewal renew(int cancel);

  /// Whether the lock was permanently taken from its holder by `del --lock`.
  [[nodiscard]] bool is_lock_broken() const noexcept { return is_lock_broken_; }
  /// Whether the last renewal got no reply: it may still reach the server.
  [[nodiscard]] bool is_unanswered() const noexcept { return is_unanswered_; }

  /// Closes the connection. To be called after the last renew(); the predicates may still be
  /// called.
  void disconnect() noexcept { session_.reset(); }

 private:
  Key key_;
  RedisNames names_;
  RedisWritePermission permission_;
  std::string lease_;    // milliseconds
  Nanoseconds timeout_;  // for an attempt to connect, and for the request
  Nanoseconds ahead_;
  std::optional<RedisSession> session_;  // empty: disconnect() was called
  std::atomic<bool> is_lock_broken_ = false;
  std::atomic<bool> is_unanswered_ = false;
};

}  // namespace memolock
