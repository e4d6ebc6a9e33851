// Work that continues in the background after the caller has its answer.
#pragma once

namespace memolock {

/// Which of the two processes this is.
enum class ProcessRole {
  caller,      ///< the original process; also if the fork failed
  background,  ///< its copy
};

/// Forks a background process. It is not a child of this one and has its own session; its standard
/// streams are /dev/null, and the descriptors that this process has inherited are closed in it.
/// Requires that there is one thread.
[[nodiscard]] ProcessRole daemonize();

/// If the background process would be killed at the end of this one (ends_namespace), waits until
/// it has ended or a signal of interruption arrives; otherwise returns at once. Call it last.
void await_background() noexcept;

}  // namespace memolock
