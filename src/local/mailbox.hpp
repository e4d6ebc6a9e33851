// The mailbox of a promise in the local store: a FIFO, ID.promise, which the holder of the run
// reads once its command has exited, and what others write to it.
//
// A record is a line. "look": there may be an answer. "renew MILLISECONDS": the promise is to live
// for so long from now on; "renew": for the lease that it was made with. Of several renewals the
// last counts. No record is longer than PIPE_BUF, so lines of several writers do not mix.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The end that the holder has.
class Mailbox {
 public:
  Mailbox() = default;
  /// Takes over a new FIFO, opened for reading and writing without blocking. What read() needs is
  /// allocated here.
  explicit Mailbox(Descriptor fifo);

  [[nodiscard]] int get() const { return fifo_.get(); }
  explicit operator bool() const { return static_cast<bool>(fifo_); }
  void close() { fifo_.reset(); }

  /// Takes all that has come. Returns for how long the promise is to live at least from now on,
  /// where `lease` is what it was made with; nothing: it is not renewed.
  [[nodiscard]] std::optional<Nanoseconds> read(Nanoseconds lease) noexcept;

 private:
  Descriptor fifo_;
  size_t capacity_ = 0;
  std::unique_ptr<char[]> buffer_;
  size_t kept_ = 0;  // bytes of a record whose end has not come yet, at the buffer's front
};

/// The end that the others have. None of its calls waits for the holder. They return false when
/// nobody reads it any more; but while another sender makes room in a full mailbox, that one seems
/// to read it.
class MailboxSender {
 public:
  /// The mailbox `name` in `folder`; empty when the run has none, or nobody reads it.
  [[nodiscard]] static MailboxSender open(int folder, std::string name);

  explicit operator bool() const { return static_cast<bool>(fifo_); }
  /// Whether the holder has not ended the promise. Of one that was killed this is not known.
  [[nodiscard]] bool is_open() const noexcept;

  [[nodiscard]] bool look() const noexcept;
  /// Nothing: for the lease that the promise was made with. Into a full mailbox goes this renewal
  /// in place of the oldest in it. Throws Error(store) when that cannot be done.
  [[nodiscard]] bool renew(std::optional<Nanoseconds> life) const;

 private:
  /// Takes the oldest PIPE_BUF bytes that are in it. False: it is gone.
  [[nodiscard]] bool make_room() const;

  Descriptor folder_;
  std::string name_;
  Descriptor fifo_;
};

}  // namespace memolock
