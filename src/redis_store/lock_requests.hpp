// Requests about a lock for which its token suffices.
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
/// again: a user who interrupts a call expects it to end within a second.
inline constexpr Nanoseconds interrupted_call_limit = std::chrono::milliseconds(700);

/// How long after it was sent a request of a run may still reach the server, if the holder's lease
/// is `lease`. Uploads and the fields of blocked tokens are kept that long.
[[nodiscard]] Nanoseconds max_time_in_flight(Nanoseconds lease);

/// Makes the lock live for at least `life` + promise_margin from now on. `retry_for`: see
/// RedisSession. Returns false when `token` does not hold the lock. Throws Error(store), like all
/// functions below.
[[nodiscard]] bool extend_redis_lock(RedisSession& session, const Key& key,
                                     const std::string& token, Nanoseconds life,
                                     Nanoseconds retry_for);

/// What stays in the lock's place when it is released without an outcome: at most one of these.
struct RedisReleaseOptions {
  Nanoseconds lock{0};    ///< how long the lock stays, after an outcome that could not be stored
  Nanoseconds marker{0};  ///< how long an earlier released marker is restored, if there is a value
};

/// Releases the lock without an outcome. Nothing happens when `token` does not hold it.
void release_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                        const RedisReleaseOptions& options = {});

/// What a holder may have stored with its token. Other processes may have used the token, too.
enum class MayHaveStored {
  nothing,
  outcome,  ///< an outcome that is not kept, or a mark
  entry,    ///< an entry, or one of these
};

/// Releases the lock of a run that may have a request in flight: deletes what its holder may have
/// stored, and has the server refuse what arrives later. `marker`: see RedisReleaseOptions.
void withdraw_redis_run(RedisSession& session, const Key& key, const std::string& token,
                        MayHaveStored stored, Nanoseconds lease, Nanoseconds marker);

/// Deletes what was uploaded for the run of `token` and has not been stored yet.
void discard_redis_upload(RedisSession& session, const Key& key, const std::string& token);

}  // namespace memolock
