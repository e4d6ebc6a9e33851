// The mailbox of a promise in the local store: a FIFO, ID.promise, through which other processes
// notify the holder of the run of an answer, or extend the promise. The protocol of promises as a
// whole: local/promise.hpp.
//
// A record is a line. "look": there may be an answer. "renew MILLISECONDS": the promise expires
// that long from now at the earliest; "renew": the same, with the lease with which it was created.
// The longest of several renewals applies. No record is longer than PIPE_BUF, so lines of several
// writers do not mix.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The holder's end. The holder reads it only after the command has exited. Used by one thread.
class MailboxReceiver {
 public:
  /// Takes over a new FIFO, open for reading and writing without blocking. Allocates the memory for
  /// read().
  explicit MailboxReceiver(Descriptor fifo);

  /// The FIFO; readable when a record has arrived.
  [[nodiscard]] int descriptor() const { return fifo_.get(); }

  /// Reads all records that have arrived; never blocks. Returns the time from now for which the
  /// promise was renewed; nothing if no record renews it. `lease`: the lease with which the promise
  /// was created.
  [[nodiscard]] std::optional<Nanoseconds> read(Nanoseconds lease) noexcept;

 private:
  Descriptor fifo_;
  size_t capacity_;
  std::unique_ptr<char[]> buffer_;
  size_t kept_ = 0;  // bytes at the front of the buffer of a record whose end has not arrived yet
};

/// The end of the other processes. No call waits for the holder. notify() and renew() return false
/// if the mailbox no longer has a reader. While another sender makes room in a full mailbox, that
/// sender looks like a reader, so check is_open() as well.
class MailboxSender {
 public:
  /// Opens the mailbox `name` in `directory`; empty if the run has none or it has no reader.
  [[nodiscard]] static MailboxSender open(int directory, std::string name);

  explicit operator bool() const { return static_cast<bool>(fifo_); }
  /// Whether the holder has not ended the promise. Also true if the holder was killed.
  [[nodiscard]] bool is_open() const noexcept;

  /// Notifies the holder that there may be an answer.
  [[nodiscard]] bool notify() const noexcept;
  /// Extends the promise to at least `life` from now; without a value, to the lease with which it
  /// was created. In a full mailbox, this renewal replaces the oldest records. Throws Error(store)
  /// if the mailbox stays full.
  [[nodiscard]] bool renew(std::optional<Nanoseconds> life) const;

 private:
  [[nodiscard]] bool make_room() const;

  Descriptor directory_;
  std::string name_;
  Descriptor fifo_;
};

}  // namespace memolock
