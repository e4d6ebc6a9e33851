// Starts a small process that can outlive this one, at little cost.
#pragma once

#include <sys/types.h>

#include <span>

namespace memolock {

/// Runs `body(argument)` in a new process, which ends when `body` returns. The process has a copy
/// of this process's memory, no descriptors except `kept` (elements of -1 are ignored), and all
/// signals blocked. Returns its process id, or -1 with errno set.
///
/// `body` may make system calls only: another thread may have held any lock when the memory was
/// copied.
[[nodiscard]] pid_t start_helper_process(void (*body)(void*), void* argument,
                                         std::span<const int> kept) noexcept;

}  // namespace memolock
