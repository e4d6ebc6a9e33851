// A part of this process that goes on when its caller has what he wants.
#pragma once

namespace memolock {

/// Which of the two a process is.
enum class ProcessRole {
  caller,      ///< the one that was here before; also when no second one could be made
  background,  ///< the copy
};

/// Copies this process. The copy is no child of it and in a session of its own; its standard
/// streams are /dev/null, and it has no descriptor of those that this process was started with.
/// Call while there is one thread.
[[nodiscard]] ProcessRole daemonize();

/// Where the copy would end with this process (ends_namespace): waits until it has ended, or one of
/// the signals has come that end a run. Elsewhere returns at once. Call last.
void await_background() noexcept;

}  // namespace memolock
