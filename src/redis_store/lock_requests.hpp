// Requests about a lock that need nothing but its token.
#pragma once

#include <string>

#include "src/entry/key.hpp"
#include "src/redis/session.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// How much longer than its promise a lock lives, so that its holder can end the promise while the
/// lock is still there, and waiters get the failure instead of running the command themselves.
inline constexpr Nanoseconds promise_margin = std::chrono::milliseconds(200);

/// How long an interrupted call may take for its last request, for which it may have to connect
/// again: whoever interrupts a call expects it to end within a second.
inline constexpr Nanoseconds interrupted_call_limit = std::chrono::milliseconds(700);

/// For how long a request of a run may still reach the server, and what was stored for its sake is
/// kept, where the holder's lease is `lease`.
[[nodiscard]] Nanoseconds max_time_in_flight(Nanoseconds lease);

/// Extends the life of the lock to `life` and promise_margin from now, unless it lives longer.
/// `retry_for`: as of RedisSession. False when `token` does not hold the lock. Throws Error(store),
/// as all that follows.
[[nodiscard]] bool extend_redis_lock(RedisSession& session, const Key& key,
                                     const std::string& token, Nanoseconds life,
                                     Nanoseconds retry_for);

/// What stays in the lock's place when it is released without an outcome: at most one of these.
struct RedisReleaseOptions {
  Nanoseconds lock{0};    ///< the lock itself: there is an outcome, which could not be stored
  Nanoseconds marker{0};  ///< the released marker that was there before, if its value still is
};

/// Releases the lock without an outcome. Nothing happens when `token` does not hold it.
void release_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                        const RedisReleaseOptions& options = {});

/// What a holder may have stored with its token. Other processes may have used the token, too.
enum class MayHaveStored {
  nothing,
  outcome,  ///< or a mark
  entry,    ///< or one of these
};

/// Releases the lock of a run that may have a request in flight: deletes what its holder may have
/// stored, and has the server refuse what arrives later. `marker`: as of RedisReleaseOptions.
void withdraw_redis_run(RedisSession& session, const Key& key, const std::string& token,
                        MayHaveStored stored, Nanoseconds lease, Nanoseconds marker);

/// Deletes what was uploaded for that run and is not stored yet.
void discard_redis_upload(RedisSession& session, const Key& key, const std::string& token);

}  // namespace memolock
