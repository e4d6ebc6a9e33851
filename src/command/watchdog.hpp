// A helper process that kills the command's process group if this process dies.
#pragma once

#include <sys/types.h>

#include "src/system/cleanup_path.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The watchdog of one command, which leads a process group. Call start(), start the command, which
/// writes its process id to lifeline() before the exec, then join(). Used by the thread that starts
/// the command. No function throws.
class Watchdog {
 public:
  Watchdog() = default;
  /// Ends and reaps the watchdog.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Starts it, if a process and descriptors are available. Without it the command still dies with
  /// this process, but its descendants do not. `cleanup` is removed when this process has died.
  void start(const CleanupPath& cleanup) noexcept;
  [[nodiscard]] bool is_running() const noexcept { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// The descriptor to which the leader of the group writes its process id; -1 if there is no
  /// watchdog.
  [[nodiscard]] int lifeline() const noexcept { return lifeline_.get(); }
  /// To be called after the process id has been written, or if it will not be written.
  void join(pid_t group) noexcept;

  /// Ends the watchdog: from now on the group survives this process.
  void end() noexcept;
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// To be called when it has been reaped: from then on its process id may belong to another
  /// process.
  void note_reaped() noexcept {
    pid_ = -1;
    ended_ = false;
  }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  Descriptor lifeline_;   // the watchdog sees its other end close when this process dies
  Descriptor other_end_;  // open until the process id is written, in case the watchdog has ended
};

}  // namespace memolock
