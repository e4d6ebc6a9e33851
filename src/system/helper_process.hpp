// A process that outlives this one or its threads, and costs next to nothing.
#pragma once

#include <sys/types.h>

#include <span>

namespace memolock {

/// Runs `life(argument)` in a process of its own, which ends when that returns: with a copy of this
/// one's memory, without any descriptor but `kept` (-1 stands for none), with every signal blocked
/// that can be. Returns its process id, or -1 with errno set when it cannot be made.
///
/// `life` makes system calls only: another thread may have held any lock when the memory was
/// copied.
[[nodiscard]] pid_t start_helper_process(void (*life)(void*), void* argument,
                                         std::span<const int> kept) noexcept;

}  // namespace memolock
