// The signals that end a run, taken through a descriptor; and what the command must get back of
// them.
#pragma once

#include <signal.h>

#include <optional>
#include <string_view>

#include "src/system/descriptor.hpp"

namespace memolock {

/// Blocks PIPE and XFSZ, so that a write fails with an errno instead. Called first of all in main,
/// for all verbs; a command gets its own mask back with Signals::restore.
void block_signals_of_writes() noexcept;

/// INT, TERM, HUP and QUIT, except those that memolock was started to ignore (nohup) or with
/// blocked. After block_signals_of_writes().
[[nodiscard]] sigset_t signals_of_interruption() noexcept;

/// Blocks the signals of interruption, and from then on hands them out through a descriptor. Made
/// once, before any thread; dispositions stay as they were, so a child needs its mask restored and
/// nothing else of its signals.
class Signals {
 public:
  Signals();

  /// From now on also hands out every other signal that would end this process, which none does
  /// that memolock was started with blocked. Call before anything is started that must not be left
  /// behind, in the thread that has made this; all others block them.
  void take_all_deadly() noexcept;

  struct Received {
    int number = 0;
    bool passed_on = false;  ///< to the command: INT, TERM, HUP and QUIT
    /// From a key such as Ctrl-C: the whole foreground group has got it already.
    bool from_terminal = false;
  };

  /// Becomes readable when a signal has come.
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  /// The next signal that has come; never blocks.
  [[nodiscard]] std::optional<Received> take() noexcept;

  /// Lets the signals that are handed out, and those that have come, end this process again.
  void unblock() const noexcept;

  /// A descriptor that becomes readable when a child has ended.
  [[nodiscard]] Descriptor watch_children() const;

  /// Puts mask, dispositions and the limit on core files back to what memolock was started with.
  /// Async-signal-safe.
  void restore() const;
  /// Before restore() in this process itself: drops what is pending of the signals of writes, which
  /// would end it.
  void drop_signals_of_writes() const noexcept;

 private:
  Descriptor descriptor_;
  sigset_t taken_{};
  bool ignored_children_ = false;
};

/// Writes a message of memolock's own to stderr, as long as that takes, but gives up once INT,
/// TERM, HUP or QUIT has come: they may be blocked, and the reader of stderr may have stalled.
void write_message(std::string_view text) noexcept;
/// Whether it has given up one.
[[nodiscard]] bool is_message_dropped() noexcept;

/// From now on this process leaves no core file, for it holds a secret. A child gets its own limit
/// back with Signals::restore.
void leave_no_core();

/// Ends this process by `signal`, as it would have without memolock, but without a core file.
/// Returns only if it cannot.
void terminate_by_signal(int signal);

}  // namespace memolock
