// A small process that outlives this one or its threads, at next to no cost.
#pragma once

#include <sys/types.h>

#include <span>

namespace memolock {

/// Runs `body(argument)` in a new process, which ends when that returns. It has a copy of this
/// process's memory, no descriptors except `kept` (-1 stands for none), and all signals blocked.
/// Returns its process id, or -1 with errno set.
///
/// `body` may make system calls only: another thread may have held any lock when the memory was
/// copied.
[[nodiscard]] pid_t start_helper_process(void (*body)(void*), void* argument,
                                         std::span<const int> kept) noexcept;

}  // namespace memolock
