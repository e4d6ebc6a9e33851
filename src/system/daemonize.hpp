// Forks a process that continues in the background after the caller has got its answer.
#pragma once

namespace memolock {

/// Which of the two processes after the fork this is.
enum class ProcessRole {
  caller,      ///< the original process, also if the fork failed
  background,  ///< its copy
};

/// Forks a background process, which is not a child of this process and has its own session. Its
/// standard streams are /dev/null, and the descriptors that this process has inherited are closed
/// in it. Call it while the process has one thread.
[[nodiscard]] ProcessRole daemonize();

/// If the kernel would kill the background process when this one ends (see ends_namespace()), waits
/// until it has ended or a signal of interruption arrives. Otherwise returns immediately. Call it
/// last.
void await_background() noexcept;

}  // namespace memolock
