// A child process: started without copying this one, reachable by signals with all its descendants,
// and gone when this process is.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "src/descriptor.hpp"
#include "src/signals.hpp"

namespace memolock {

/// What a child is started with. A descriptor of -1 leaves the stream as it is here.
struct ChildStart {
  const std::vector<std::string>& argv;
  const std::vector<std::string>& environment;  ///< "NAME=value"
  int in = -1;
  int out = -1;
  int err = -1;
};

/// Becomes the command, with `start.in` and else this process's own streams. Returns only when that
/// cannot be, with the errno.
[[nodiscard]] int replace_process(const ChildStart& start, const Signals& signals);

class Child {
 public:
  /// Starts `start.argv`, searched along PATH, with the signal mask and dispositions of `signals`'
  /// origin. Without a controlling terminal it leads a process group of its own. Call from the main
  /// thread only: when the calling thread ends, so does the child. Throws Error(store) when no
  /// process is to be had; check `start_error` afterwards.
  Child(const ChildStart& start, const Signals& signals);
  ~Child();
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
  void let_go() noexcept;

  /// Reaps the orphans that have come to this process and ended.
  void reap_orphans() const noexcept;

  /// Whether anything that descends from it is left, apart from zombies.
  [[nodiscard]] bool has_descendants() const noexcept;

 private:
  void set_watchdog();
  [[nodiscard]] std::vector<pid_t> descendants() const noexcept;
  [[nodiscard]] std::vector<pid_t> find_descendants() const;

  // Children that this process had before, by whoever became it with exec.
  std::vector<pid_t> elders_;
  pid_t pid_ = -1;
  int start_error_ = 0;
  bool leads_group_ = false;
  bool reaped_ = false;
  bool let_go_ = false;
  pid_t watchdog_ = -1;
  Descriptor lifeline_;  // the watchdog sees its other end close when this process dies
  Descriptor
      other_end_;  // open here until the command has used the lifeline, should the watchdog be gone
};

}  // namespace memolock
