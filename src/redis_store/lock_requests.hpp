// Requests about a lock that require only its token.
#pragma once

#include <string>

#include "src/entry/key.hpp"
#include "src/redis/session.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// How much later than its promise a lock expires, so that its holder can end the promise while it
/// holds the lock, and waiters get the failure instead of running the command themselves.
inline constexpr Nanoseconds promise_margin = std::chrono::milliseconds(200);

/// How long the last request of an interrupted call may take, including a new connection: a user
/// who interrupts a call expects it to end within a second.
inline constexpr Nanoseconds interrupted_call_limit = std::chrono::milliseconds(700);

/// The longest time after which a request of a run may still reach the server, if the holder's
/// lease is `lease`. Uploads and the fields of blocked tokens are stored that long.
[[nodiscard]] Nanoseconds max_time_in_flight(Nanoseconds lease);

/// Extends the lock to at least `life` + promise_margin from now. `retry_for`: see RedisSession.
/// Returns false if `token` does not hold the lock. Throws Error(store), like all functions below.
[[nodiscard]] bool extend_redis_lock(RedisSession& session, const Key& key,
                                     const std::string& token, Nanoseconds life,
                                     Nanoseconds retry_for);

/// What replaces the lock if it is released without an outcome: at most one of these.
struct RedisReleaseOptions {
  Nanoseconds lock{0};    ///< how long the lock remains after an outcome that could not be stored
  Nanoseconds marker{0};  ///< how long an earlier released marker is restored, if there is a value
};

/// Releases the lock without an outcome. Does nothing if `token` does not hold it.
void release_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                        const RedisReleaseOptions& options = {});

/// The data that a holder may have stored with its token. Other processes may also have used the
/// token.
enum class MayHaveStored {
  nothing,
  outcome,  ///< an outcome that is not an entry, or a mark
  entry,    ///< an entry, or one of these
};

/// Releases the lock of a run that may have a request in flight: deletes the data that its holder
/// may have stored, and makes the server refuse requests that arrive later. `marker`: see
/// RedisReleaseOptions.
void withdraw_redis_run(RedisSession& session, const Key& key, const std::string& token,
                        MayHaveStored stored, Nanoseconds lease, Nanoseconds marker);

/// Deletes the data that was uploaded for the run of `token` and has not been stored yet.
void discard_redis_upload(RedisSession& session, const Key& key, const std::string& token);

}  // namespace memolock
