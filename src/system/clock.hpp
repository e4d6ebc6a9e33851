// The clocks: wall time, which other machines share; the time since boot, which never jumps and
// includes suspension; and the time for which the machine has been awake.
#pragma once

#include <time.h>

#include <chrono>

namespace memolock {

using Nanoseconds = std::chrono::nanoseconds;

/// A duration that never passes.
inline constexpr Nanoseconds forever = Nanoseconds::max();

namespace detail {
inline Nanoseconds read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}
}  // namespace detail

/// Nanoseconds since the epoch.
inline Nanoseconds wall_now() { return detail::read_clock(CLOCK_REALTIME); }

/// Nanoseconds since boot, including suspension.
inline Nanoseconds boot_now() { return detail::read_clock(CLOCK_BOOTTIME); }

/// Nanoseconds since boot, without suspension.
inline Nanoseconds awake_now() { return detail::read_clock(CLOCK_MONOTONIC); }

/// `start` plus `length`; `forever` if that overflows.
inline Nanoseconds after(Nanoseconds start, Nanoseconds length) {
  return length > forever - start ? forever : start + length;
}

/// How far ahead of the wall clock a recorded time may be without being treated as a future time:
/// clocks are adjusted from time to time.
inline constexpr std::chrono::minutes clock_skew_allowance{5};

/// Whether a recorded wall-clock time is in the future, because the clock has been set back since.
/// Do not wait until the clock has caught up with such a time.
inline bool is_in_future(Nanoseconds time, Nanoseconds now) {
  return time > after(now, clock_skew_allowance);
}

/// Whether a recorded wall-clock time is more than `age` ago, or in the future.
inline bool is_older(Nanoseconds time, Nanoseconds age, Nanoseconds now) {
  return is_in_future(time, now) || (time <= now && now - time > age);
}

}  // namespace memolock
