// Children that this process had before it became memolock: a shell may start processes and then
// `exec memolock`. They do not belong to the command.
#pragma once

#include <sys/types.h>

namespace memolock {

/// If this process has children, forks: the call returns in a new process, which has no children
/// and is killed when the old one ends. The old process remains the parent of the inherited
/// children, forwards the signals that it receives, and ends with the status or signal of the new
/// process. Does nothing if there are no children.
///
/// The process that runs the command adopts the command's orphans. If it had other children, it
/// would adopt their orphans too, and could not tell them apart.
///
/// Call it before there are threads or anything else that a forked process does not inherit.
void leave_inherited_children() noexcept;

/// Whether this process still has such children because the fork failed. It can then run a command
/// only by replacing itself with the command.
[[nodiscard]] bool has_inherited_children() noexcept;

/// Whether the kernel kills all processes of this PID namespace when this one ends, because this is
/// the namespace's first process or the one that continues its work.
[[nodiscard]] bool ends_namespace() noexcept;

}  // namespace memolock
