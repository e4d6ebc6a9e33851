// The clocks: wall time, which other processes and machines understand; time since boot, which
// never jumps and goes on while the machine sleeps; and the time that the machine has been awake.
#pragma once

#include <time.h>

#include <chrono>

namespace memolock {

using Nanoseconds = std::chrono::nanoseconds;

/// The length of time that never passes.
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

/// Nanoseconds since boot, suspensions included.
inline Nanoseconds boot_now() { return detail::read_clock(CLOCK_BOOTTIME); }

/// Nanoseconds since boot without suspensions.
inline Nanoseconds awake_now() { return detail::read_clock(CLOCK_MONOTONIC); }

/// `start + length` on one clock; forever stays forever.
inline Nanoseconds after(Nanoseconds start, Nanoseconds length) {
  return length > forever - start ? forever : start + length;
}

/// How far ahead a time may be of the wall clock, which is set right now and then, and still be
/// taken for one.
inline constexpr std::chrono::minutes clock_allowance{5};

/// Whether a time on the wall clock lies in the future: the clock has been set back since, and what
/// depends on the time's age must not wait until it has caught up.
inline bool is_ahead(Nanoseconds time, Nanoseconds now) {
  return time > after(now, clock_allowance);
}

/// Whether a time on the wall clock is longer ago than `age`, or in the future.
inline bool is_older(Nanoseconds time, Nanoseconds age, Nanoseconds now) {
  return is_ahead(time, now) || (time <= now && now - time > age);
}

}  // namespace memolock
