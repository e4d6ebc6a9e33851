// Children that a shell has started before it replaced itself with memolock (exec). They do not
// belong to the command.
#pragma once

#include <sys/types.h>

namespace memolock {

/// If this process has children, continues in a new process, which has none and is killed when this
/// process ends. This process remains as the parent of the others, forwards the signals that it
/// receives, and ends with the status or signal of the new process. Without children, does nothing.
///
/// The process that runs the command adopts the command's orphans. If it had other children, it
/// would adopt their orphans too, and could not tell them apart.
///
/// Call it before there are threads or anything else that a forked process would not share.
void leave_inherited_children() noexcept;

/// Whether this process still has them because no new process could be started: then it can run a
/// command only by replacing itself with it.
[[nodiscard]] bool has_inherited_children() noexcept;

/// Whether all processes of this PID namespace end with this one: it is the first of them, or
/// continues its work.
[[nodiscard]] bool ends_namespace() noexcept;

}  // namespace memolock
