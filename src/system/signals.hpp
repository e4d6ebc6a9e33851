// The signals that interrupt a run, received through a descriptor, and the signal state that the
// command must be started with.
//
// The mask, the dispositions and the core limit that memolock was started with are process-wide
// state: they are recorded before they are first changed, and Signals::restore gives them back.
#pragma once

#include <signal.h>

#include <optional>

#include "src/system/descriptor.hpp"

namespace memolock {

/// Blocks PIPE and XFSZ, so that a write fails with an errno instead. main calls it first, for all
/// verbs; the command gets its own mask back with Signals::restore.
void block_write_signals() noexcept;

/// The signals of interruption: INT, TERM, HUP and QUIT, except those that memolock was started
/// with ignored (nohup) or blocked. Requires block_write_signals().
[[nodiscard]] sigset_t interruption_signals() noexcept;

/// Whether INT, TERM, HUP or QUIT has been received through Signals or is pending. Any thread.
[[nodiscard]] bool is_interrupted() noexcept;

/// Blocks the signals of interruption and delivers them through a descriptor from then on. Create
/// one object, before any thread. Dispositions do not change, so a child needs nothing but its mask
/// restored.
class Signals {
 public:
  /// Throws Error(store) when there is no descriptor left.
  Signals();

  /// Delivers all other signals that would end this process through the descriptor too, except
  /// those that memolock was started with blocked. Call it in the thread that has created this
  /// object, before anything is started that must not be left running; other threads block these
  /// signals.
  void receive_all_fatal_signals() noexcept;

  struct Received {
    int number = 0;
    bool is_forwarded = false;   ///< to the command: INT, TERM, HUP and QUIT
    bool from_terminal = false;  ///< a key such as Ctrl-C; the foreground group has received it
  };

  /// Readable when a signal has been received.
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  /// The next signal that has been received; nothing when there is none. Never blocks.
  [[nodiscard]] std::optional<Received> next() noexcept;

  /// Unblocks the signals that are delivered here: those pending, and all later ones, act on this
  /// process again.
  void unblock() const noexcept;

  /// A descriptor that becomes readable when a child has ended. Throws Error(store).
  [[nodiscard]] Descriptor watch_children() const;

  /// Restores the mask, the dispositions and the core limit that memolock was started with.
  /// Async-signal-safe.
  void restore() const;
  /// Discards pending write signals, which would end this process after restore(). Call it before
  /// restore() in this process itself.
  void discard_write_signals() const noexcept;

 private:
  Descriptor descriptor_;
  sigset_t taken_{};
  bool ignored_children_ = false;
};

/// Keeps this process from leaving a core file, because it holds a secret. A child gets its own
/// limit back with Signals::restore.
void disable_core_dumps();

/// Ends this process by `signal` with its default action, but without a core file. Returns only if
/// that is not possible.
void terminate_by_signal(int signal);

}  // namespace memolock
