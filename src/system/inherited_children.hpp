// Children that a shell started before it became memolock with exec, which do not belong to the
// command.
#pragma once

#include <sys/types.h>

namespace memolock {

/// If this process has children, leaves them: the caller goes on in a new process, which has no
/// children and dies when this process does. This process stays as their parent, passes on the
/// signals that are sent to it, and ends as the new process has ended. Otherwise does nothing.
///
/// Orphans of the command are adopted by the process that runs it. Were that the one with the other
/// children, it would adopt their orphans too, which nothing tells from the command's.
///
/// Call before there are threads or anything else that a second process would not share.
void leave_inherited_children() noexcept;

/// Whether this process has them still, as no other process could be started: it can run a command
/// only by becoming it.
[[nodiscard]] bool has_inherited_children() noexcept;

/// Whether all processes of this process namespace end with this one: it is the first of them, or
/// goes on for that.
[[nodiscard]] bool ends_namespace() noexcept;

}  // namespace memolock
