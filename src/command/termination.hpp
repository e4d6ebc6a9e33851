// Ends a command together with all its descendants.
#pragma once

#include <string>

#include "src/command/child.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Sends TERM, unless the caller has done so, and KILL after a grace period of ten seconds; then
/// waits up to two seconds for all processes to end. Processes that cannot be killed, such as those
/// of another user, are given up on and reported.
///
/// For the thread that runs the event loop only: the caller calls check() at next_check(). No call
/// blocks, throws, or depends on an allocation. It is inactive until one of the functions that end
/// the command is called.
class Termination {
 public:
  /// The state of the run, as known to the caller.
  struct RunState {
    bool has_exited = false;      ///< the command itself
    int open_pipes = 0;           ///< not at their end
    int relayed_pipes = 0;        ///< of these, the number that wait for a reader, not for a writer
    bool is_progressing = false;  ///< a relayed pipe has made progress since the last check
  };

  /// Sets the child to be ended, which must outlive this object. Call it first.
  void set_child(Child& child) noexcept { child_ = &child; }

  /// Sends TERM and CONT now, KILL after the grace period.
  void stop() noexcept;
  /// Sends KILL now.
  void kill() noexcept;
  /// Sends KILL after the grace period.
  void kill_after_grace() noexcept;
  /// To be called when an interrupted command has exited: its descendants have received the same
  /// signal. Stops the remaining ones.
  void stop_descendants(const RunState& run) noexcept;

  /// Whether the run must not end before the termination has ended.
  [[nodiscard]] bool is_active() const noexcept { return is_active_; }
  /// Whether the run is over although a process or a reader of its output remains.
  [[nodiscard]] bool has_given_up() const noexcept { return has_given_up_; }

  /// When check() is to be called, on the awake_now() clock; `forever`: not at all.
  [[nodiscard]] Nanoseconds next_check() const noexcept { return next_check_; }
  /// A process or a pipe has ended: check soon whether it was the last one.
  void check_soon() noexcept;
  void check(const RunState& run) noexcept;

  /// The processes that were given up, as "12 (sudo), 34 (sleep)"; empty: none.
  [[nodiscard]] std::string take_remaining() noexcept { return std::move(remaining_); }

 private:
  void kill_after(Nanoseconds grace) noexcept;
  void check_later(Nanoseconds now) noexcept;

  Child* child_ = nullptr;
  Nanoseconds next_check_ = forever;
  Nanoseconds pause_{0};           // between two checks
  Nanoseconds kill_at_ = forever;  // on the boot_now() clock
  std::string remaining_;
  bool is_active_ = false;
  bool has_given_up_ = false;
};

}  // namespace memolock
