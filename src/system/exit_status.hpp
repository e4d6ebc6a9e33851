// The exit statuses to which memolock gives a meaning. The status of a command is passed on
// unchanged. The values follow the conventions of timeout(1), env(1) and the shells.
#pragma once

namespace memolock::exit_status {

inline constexpr int absent = 1;  ///< a look-up found nothing, or the token does not hold the lock
inline constexpr int unfit = 1;   ///< `doctor` has found that the store cannot be used
inline constexpr int timed_out = 124;   ///< a time limit has passed
inline constexpr int own_error = 125;   ///< memolock itself failed, or the status is unknown
inline constexpr int cannot_run = 126;  ///< the command exists but could not be executed
inline constexpr int not_found = 127;   ///< the command does not exist

/// The status with which a shell reports a process that `signal` has ended.
[[nodiscard]] constexpr int of_signal(int signal) { return 128 + signal; }

/// The signal that such a status stands for; negative or 0 for a status of 128 or less.
[[nodiscard]] constexpr int signal_of(int status) { return status - of_signal(0); }

}  // namespace memolock::exit_status
