// Facts about this process and its environment.
#pragma once

#include <sys/types.h>

namespace memolock {

/// Whether this process has a controlling terminal.
[[nodiscard]] bool has_controlling_terminal() noexcept;

/// Whether `process`, which has started this one, is still its parent. True if that cannot be
/// determined because this process was started in another PID namespace (`unshare --pid`).
[[nodiscard]] bool is_parent(pid_t process) noexcept;

/// Whether the next child will be the first process of a PID namespace (`unshare --pid` without
/// `--fork`). When that child ends, the kernel kills all other processes in the namespace, and no
/// more can be started in it.
[[nodiscard]] bool next_process_begins_namespace() noexcept;

}  // namespace memolock
