// What still comes from the pipes of a command whose run is over.
#pragma once

#include <array>
#include <climits>
#include <cstddef>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// Passes on what processes that a command has left in the background still write to its pipes,
/// each stream at its own reader's pace. A stream is over when its pipe has ended, or when its
/// reader has left: then its pipe is closed, so that the writer gets SIGPIPE as it would with that
/// reader. A terminal that has hung up ends no writer: what comes then is dropped.
class LateOutput {
 public:
  /// As where a stream goes: it is read, and dropped.
  static constexpr int nowhere = -1;

  /// Twice at most. `pipe` does not block; `to` must stay open.
  void add(Descriptor pipe, int to) noexcept;

  [[nodiscard]] bool is_over() const noexcept;

  /// Leaves all of it to a process of its own, which holds nothing but these pipes and where they
  /// go. After TERM that process drops a stream whose reader stalls. Returns false when no process
  /// can be started.
  [[nodiscard]] bool leave_to_process() noexcept;

  /// Does it here, until it is over or `interrupt` becomes readable; -1: nothing interrupts it.
  /// System calls only.
  void pass_on(int interrupt) noexcept { pass_on(interrupt, OnInterrupt::stop); }

 private:
  enum class OnInterrupt { stop, hurry };
  struct Way {
    Descriptor from;
    int to = nowhere;
    // A pipe that has room, as poll(2) says, takes so many at once.
    std::array<char, PIPE_BUF> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    size_t size = 0;
    size_t written = 0;
    Nanoseconds moved{0};  // of awake_now(): when it last took something
  };
  void pass_on(int interrupt, OnInterrupt on_interrupt) noexcept;
  void drop_stalled() noexcept;
  static void lose_reader(Way& way) noexcept;
  static void read_from(Way& way) noexcept;
  static void write_to(Way& way) noexcept;

  std::array<Way, 2> ways_;
  size_t count_ = 0;
};

}  // namespace memolock
