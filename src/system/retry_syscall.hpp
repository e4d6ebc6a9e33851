// Retries system calls that fail for a transient reason, such as a signal or a lack of memory.
#pragma once

#include <time.h>

#include <cerrno>

namespace memolock {

/// Sleeps for 10 ms.
inline void pause_briefly() noexcept {
  const timespec moment{0, 10'000'000};
  nanosleep(&moment, nullptr);
}

/// Whether a system call that failed with this errno may succeed when retried.
[[nodiscard]] inline bool is_transient(int error) noexcept {
  return error == EINTR || error == EAGAIN || error == ENOMEM || error == EIO;
}

/// Calls `call`, which returns -1 with errno set on failure, until it succeeds, fails with an errno
/// that is not transient, or has failed ten times. For calls that must not be skipped, on blocking
/// descriptors. Returns the last result.
template <typename Call>
auto retry_syscall(const Call& call) noexcept {
  constexpr int max_tries = 10;
  auto result = call();
  for (int tries = 1; result < 0 && is_transient(errno) && tries < max_tries; ++tries) {
    if (errno != EINTR) pause_briefly();
    result = call();
  }
  return result;
}

}  // namespace memolock
