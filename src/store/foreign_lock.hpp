// Locks of other programs that outlast any wait: redis-memolock's Go client never deletes its lock,
// and may give it a lifetime of years.
#pragma once

#include <string>

#include "src/entry/key.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Whether a lock that lasts for `left` more outlasts any wait: more than a day.
[[nodiscard]] bool outlasts_waiting(Nanoseconds left);

/// "t:x is locked by another program for the next 3650d", or "… without an expiry" if `left` is
/// `forever`.
[[nodiscard]] std::string describe_long_lock(const Key& key, Nanoseconds left);

/// What to do about such a lock.
inline constexpr const char* long_lock_advice =
    "if that program is no longer running, 'memolock del --lock' with its --tag and --id removes "
    "the "
    "lock";

}  // namespace memolock
