// A child process: started without copying this one, reachable by signals with all its descendants,
// and gone when this process is.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "src/system/cleanup_path.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// What a child is started with. A descriptor of -1 leaves the stream as it is here.
struct ChildStart {
  const std::vector<std::string>& argv;
  const std::vector<std::string>& environment;  ///< "NAME=value"
  int in;
  int out;
  int err;
  const CleanupPath& scratch;  ///< as CommandSpec::scratch
};

/// Becomes the command, with `start.in` and else this process's own streams. Returns only when that
/// cannot be, with the errno.
[[nodiscard]] int replace_process(const ChildStart& start, const Signals& signals);

/// A process that ends the command's group when this process has died.
class Watchdog {
 public:
  Watchdog() = default;
  /// Ends it, and reaps it.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Where no descriptor or no process is available there is none: the command still dies with this
  /// process then, only its descendants do not.
  /// `scratch`: what it removes when this process has died.
  void start(const CleanupPath& scratch) noexcept;
  [[nodiscard]] bool is_there() const noexcept { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Where the leader of a group writes its number before it starts; -1: there is no watchdog.
  [[nodiscard]] int lifeline() const noexcept { return lifeline_.get(); }
  /// To be called when it has done so, or will not.
  void join(pid_t group) noexcept;

  /// From now on the group is not tied to this process's life.
  void end() noexcept;
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// To be told when it has been reaped: its number may mean another process from then on.
  void note_reaped() noexcept {
    pid_ = -1;
    ended_ = false;
  }

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  Descriptor lifeline_;   // the watchdog sees its other end close when this process dies
  Descriptor other_end_;  // open here until it has been written to, should the watchdog be gone
};

/// All descendants of this process are taken for the child's: it must have no other children.
class Child {
 public:
  /// Starts `start.argv`, searched along PATH, with the signal mask and dispositions of `signals`'
  /// origin. Without a controlling terminal it leads a process group of its own. Call from the main
  /// thread only: when the calling thread ends, so does the child. Without a watchdog `signals`
  /// hands out all that would end this process from then on. Throws Error(store) when no process
  /// can be started, or has_inherited_children(); check `start_error` afterwards.
  Child(const ChildStart& start, Signals& signals);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The errno of the exec that failed; 0 when the child runs.
  [[nodiscard]] int start_error() const { return start_error_; }
  /// Whether it leads a group of its own; otherwise it is in this process's group.
  [[nodiscard]] bool leads_group() const { return leads_group_; }

  /// Whom a signal is for: all that descends from this process's command, or what of it is not in
  /// this process's own group.
  enum class Reach { all, outside_own_group };

  /// Sends `signal` to the child and everything that descends from it, orphans included.
  void signal_all(int signal, Reach reach = Reach::all) const noexcept;

  /// To be told when the child has been reaped: its number may mean another process from then on.
  void note_reaped() noexcept { reaped_ = true; }

  /// The run is over: what it has left in the background is no longer tied to this process's life.
  /// Called at the latest by the destructor.
  void disarm() noexcept { watchdog_.end(); }

  /// Reaps the orphans that have come to this process and ended.
  void reap_orphans() noexcept;

  /// Whether this process may send it signals; not if it is another user's.
  [[nodiscard]] bool may_be_signalled() const noexcept;

  enum class Left { nothing, others_only, some };
  /// What there is left of it and of all that descends from it, apart from zombies: nothing, only
  /// processes of other users, which may not be killed, or something else.
  [[nodiscard]] Left left() const noexcept;

  /// Those: "12 (sudo), 34 (sleep)".
  [[nodiscard]] std::string name_those_left() const;

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
