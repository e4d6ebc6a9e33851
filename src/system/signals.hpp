// Receives the signals that interrupt a run through a descriptor, and restores the signal state
// with which the command must be started.
//
// The signal mask, the dispositions and the core limit belong to the process. Their original values
// are recorded before the first change, and Signals::restore() restores them.
#pragma once

#include <signal.h>

#include <optional>

#include "src/system/descriptor.hpp"

namespace memolock {

/// Blocks PIPE and XFSZ, so that a write fails with an errno instead. main calls it first, for all
/// verbs. Signals::restore() undoes it for the command.
void block_write_signals() noexcept;

/// The signals of interruption: INT, TERM, HUP and QUIT, except those that were ignored (nohup) or
/// blocked when memolock was started. Requires block_write_signals().
[[nodiscard]] sigset_t interruption_signals() noexcept;

/// Whether INT, TERM, HUP or QUIT has been received through Signals or is pending. Any thread may
/// call it.
[[nodiscard]] bool is_interrupted() noexcept;

/// Blocks the signals of interruption and delivers them through a descriptor from then on. Create
/// at most one object, before any thread is started. Dispositions do not change, so only the mask
/// of a child has to be restored. Used by the thread that has created it, except for restore().
class Signals {
 public:
  /// Throws Error(store) if the process has no descriptors left.
  Signals();

  /// Also delivers all other signals that would end this process through the descriptor, except
  /// those that were blocked when memolock was started. Call it in the thread that has created this
  /// object, before starting a process that must not outlive this one; other threads must block
  /// these signals.
  void receive_all_fatal_signals() noexcept;

  struct Received {
    int number = 0;
    bool is_forwarded = false;   ///< whether to forward it to the command: INT, TERM, HUP and QUIT
    bool from_terminal = false;  ///< a key such as Ctrl-C sent it, to the whole foreground group
  };

  /// Readable when a signal has been received.
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  /// The next signal that has been received; nothing if there is none. Never blocks.
  [[nodiscard]] std::optional<Received> next() noexcept;

  /// Unblocks the signals that are delivered through the descriptor, so that pending and later ones
  /// act on this process again.
  void unblock() const noexcept;

  /// A descriptor that becomes readable when a child has ended. Throws Error(store).
  [[nodiscard]] Descriptor watch_children() const;

  /// Restores the mask, the dispositions and the core limit with which memolock was started.
  /// Async-signal-safe.
  void restore() const;
  /// Discards pending PIPE and XFSZ signals, which would end this process after restore(). Call it
  /// first if restore() is to be called in this process itself, not in a child.
  void discard_write_signals() const noexcept;

 private:
  Descriptor descriptor_;
  sigset_t taken_{};
  bool ignored_children_ = false;
};

/// Prevents this process from writing a core file, because its memory contains a secret.
/// Signals::restore() undoes it for a child.
void disable_core_dumps();

/// Ends this process by `signal` with its default action, but without a core file. Returns only if
/// that is not possible.
void terminate_by_signal(int signal);

}  // namespace memolock
