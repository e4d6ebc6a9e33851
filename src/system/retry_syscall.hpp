// What a kernel that is out of something may be able to do a moment later.
#pragma once

#include <time.h>

#include <cerrno>

namespace memolock {

/// Leaves the kernel alone for a moment.
inline void pause_briefly() noexcept {
  const timespec moment{0, 10'000'000};
  nanosleep(&moment, nullptr);
}

/// Whether a system call that failed with this errno may succeed when it is made again.
[[nodiscard]] inline bool is_transient(int error) noexcept {
  return error == EINTR || error == EAGAIN || error == ENOMEM || error == EIO;
}

/// Makes a system call, which returns -1 with errno set when it fails, until it succeeds or fails
/// for good; ten times at most. For one that must not be left undone, on a descriptor that blocks.
template <typename Call>
auto retry_syscall(const Call& call) noexcept {
  constexpr int most = 10;
  auto result = call();
  for (int tries = 1; result < 0 && is_transient(errno) && tries < most; ++tries) {
    if (errno != EINTR) pause_briefly();
    result = call();
  }
  return result;
}

}  // namespace memolock
