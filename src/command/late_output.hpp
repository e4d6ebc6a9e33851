// Output that is written to the pipes of a command after its run is over.
#pragma once

#include <array>
#include <climits>
#include <cstddef>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// Passes on the output that background processes still write to the pipes, each stream at the pace
/// of its own reader. A stream is over when its pipe is at its end, or when its reader has left:
/// then its pipe is closed, so that the writer gets SIGPIPE as it would have without memolock. A
/// terminal that has hung up does not end the writer: its output is then discarded.
///
/// Used by one thread. No function allocates or throws.
class LateOutput {
 public:
  /// As the destination of a stream: the output is read and discarded.
  static constexpr int nowhere = -1;

  /// At most two streams. `pipe` must be non-blocking; `to` must stay open.
  void add(Descriptor pipe, int to) noexcept;

  [[nodiscard]] bool is_over() const noexcept;

  /// Hands all streams over to a new process, whose only descriptors are the pipes and their
  /// destinations. After TERM, that process discards each stream whose reader stalls. Returns false
  /// when no process can be started.
  [[nodiscard]] bool hand_over_to_process() noexcept;

  /// Passes the streams on in this process, until they are over or `interrupt` becomes readable; -1
  /// if nothing is to interrupt it. Only makes system calls.
  void pass_on(int interrupt) noexcept { pass_on(interrupt, OnInterrupt::stop); }

 private:
  enum class OnInterrupt { stop, discard_stalled };
  struct StreamCopy {
    Descriptor from;
    int to = nowhere;
    // A pipe that poll(2) reports as writable takes this many bytes without blocking.
    std::array<char, PIPE_BUF> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    size_t size = 0;
    size_t written = 0;
    Nanoseconds last_progress{0};  // on the awake_now() clock
  };
  void pass_on(int interrupt, OnInterrupt on_interrupt) noexcept;
  void discard_stalled() noexcept;
  static void note_lost_reader(StreamCopy& stream) noexcept;
  static void read_from(StreamCopy& stream) noexcept;
  static void write_to(StreamCopy& stream) noexcept;

  std::array<StreamCopy, 2> streams_;
  size_t count_ = 0;
};

}  // namespace memolock
