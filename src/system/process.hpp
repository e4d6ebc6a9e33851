// What this process can tell of itself and of where it runs.
#pragma once

#include <sys/types.h>

namespace memolock {

/// Whether this process has a controlling terminal.
[[nodiscard]] bool has_terminal() noexcept;

/// Whether `process`, which has started this one, is still its parent. Where this process was
/// started into another process namespace (`unshare --pid`), that is not known: true.
[[nodiscard]] bool is_parent(pid_t process) noexcept;

/// Whether the next process that is started will be the first of a process namespace (`unshare
/// --pid` without `--fork`). With the end of that one all others in it end, and none can be started
/// any more.
[[nodiscard]] bool next_process_begins_namespace() noexcept;

}  // namespace memolock
