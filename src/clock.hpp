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

}  // namespace memolock
