// Locks of other programs that outlast any wait: redis-memolock's Go client never deletes its lock,
// and may give it years.
#pragma once

#include <string>

#include "src/entry/key.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Whether nobody would wait for the end of a lock that lives for `left` more.
[[nodiscard]] bool outlasts_waiting(Nanoseconds left);

/// "t:x is locked by another program for 3650d more"; `left` is `forever`: "without end".
[[nodiscard]] std::string describe_long_lock(const Key& key, Nanoseconds left);

/// What to do about it.
inline constexpr const char* long_lock_remedy =
    "if that program is not at work, 'memolock del --lock' with its --tag and --id ends the lock";

}  // namespace memolock
