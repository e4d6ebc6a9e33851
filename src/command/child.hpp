// A child process: started without copying this one, signalled together with all its descendants,
// and killed when this process dies.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "src/command/watchdog.hpp"
#include "src/system/cleanup_path.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// How a child is started. For a descriptor of -1, the child inherits the stream of this process.
struct ChildStart {
  const std::vector<std::string>& argv;
  const std::vector<std::string>& environment;  ///< "NAME=value"
  int in;
  int out;
  int err;
  const CleanupPath& cleanup;  ///< see CommandSpec::cleanup
};

/// Replaces this process with the command, with `start.in` as its stdin and otherwise this
/// process's own streams. Returns only on failure, with the errno.
[[nodiscard]] int replace_process(const ChildStart& start, const Signals& signals);

/// A child and all its descendants. All descendants of this process are assumed to be the child's,
/// so this process must have no other children. Used by the main thread.
class Child {
 public:
  /// Starts `start.argv`, searched along PATH, with the signal mask and dispositions with which
  /// this process was started. Without a controlling terminal it leads a process group of its own.
  /// Call from the main thread only: when the calling thread ends, the child is killed. If there is
  /// no watchdog, `signals` from then on reports every signal that would end this process. Throws
  /// Error(store) if no process can be started, or if has_inherited_children(). If the process was
  /// started but the command could not be executed, start_error() is not 0.
  Child(const ChildStart& start, Signals& signals);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The errno of the exec; 0 when it has succeeded.
  [[nodiscard]] int start_error() const { return start_error_; }
  /// Whether it leads a process group; otherwise it is in this process's group.
  [[nodiscard]] bool leads_group() const { return leads_group_; }

  /// Which processes get a signal: all descendants of this process, or only the descendants outside
  /// its own process group.
  enum class Recipients { all, outside_own_group };

  /// Sends `signal` to the child and all its descendants, orphans included.
  void signal_all(int signal, Recipients recipients = Recipients::all) const noexcept;

  /// To be called when the child has been reaped: from then on its process id may belong to another
  /// process.
  void note_reaped() noexcept { reaped_ = true; }

  /// To be called when the run is over: processes left in the background survive this process.
  void release_descendants() noexcept { watchdog_.end(); }

  /// Reaps the descendants that have become orphans and have ended.
  void reap_orphans() noexcept;

  /// Whether this process is permitted to send the child signals. True once it has been reaped.
  [[nodiscard]] bool can_be_signalled() const noexcept;

  enum class Remaining { none, of_other_users, some };
  /// Which of the child and its descendants still exist, apart from zombies: none, only processes
  /// that this user is not permitted to kill, or others.
  [[nodiscard]] Remaining remaining() const noexcept;

  /// The processes that remaining() considers, as "12 (sudo), 34 (sleep)"; at most ten, then "…".
  /// Throws std::bad_alloc.
  [[nodiscard]] std::string describe_remaining() const;

 private:
  [[nodiscard]] std::vector<pid_t> descendants() const noexcept;
  [[nodiscard]] std::vector<pid_t> find_descendants() const;

  pid_t pid_ = -1;
  int start_error_ = 0;
  bool leads_group_ = false;
  bool reaped_ = false;
  Watchdog watchdog_;
};

}  // namespace memolock
