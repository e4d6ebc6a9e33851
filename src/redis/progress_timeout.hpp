// How long connecting to a server and a request may take, and what ends a wait before that.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"

namespace memolock {

/// What ends any wait for a server early.
struct WaitLimit {
  int interrupt = -1;           ///< a descriptor, when it becomes readable; -1: none
  Nanoseconds until = forever;  ///< a moment of the boot clock

  /// The same, and no later than `length` from now.
  [[nodiscard]] WaitLimit within(Nanoseconds length) const;
};

/// Bounds every wait of one connection. Used by one thread. Connecting has `timeout` in all, and so
/// has each request, from begin_request() to the last byte of its reply; bytes that arrive in
/// between do not extend it. Only a request that transfers more than 64 KiB may take longer: as
/// long as the peer takes or sends at least 64 KiB in each max(timeout, 2s). Bytes sent count when
/// the peer has acknowledged them; bytes received count when they are part of a reply that was
/// awaited.
///
/// At the wait limit, a request in progress fails, and a later one fails at once; but not a reply
/// of more than 64 KiB that is arriving. All errors are Error(store), with a message to follow the
/// server's name, and Error(interrupted).
class ProgressTimeout {
 public:
  /// Requires begin_connecting() before all else.
  ProgressTimeout(Nanoseconds timeout, const WaitLimit& wait_limit);

  /// Applies to the next request; its interrupt at once.
  void set_wait_limit(const WaitLimit& wait_limit) { wait_limit_ = wait_limit; }

  void begin_connecting();
  /// The connected socket, which knows how many of the bytes sent have been acknowledged.
  void set_socket(int socket) { socket_ = socket; }
  void begin_request();
  /// More than 64 KiB are about to be sent, or are announced in the reply that is being read.
  void expect_upload() { expect_large_transfer(); }
  void expect_download();

  /// The peer takes no more: it is given the time of a reply to send the reason.
  void await_final_reply();

  /// The next reply is about to be read. Its bytes count as progress only after
  /// count_reply_as_progress(): it may be a message, of which there can be any number. Throws when
  /// the time is over.
  void begin_reply();
  /// That reply was awaited.
  void count_reply_as_progress() { is_counted_ = true; }

  /// `bytes` more were sent. Throws when there is an interrupt: if the peer takes all that it is
  /// sent, there is no wait that would see it.
  void add_sent(size_t bytes);
  /// `bytes` more of the reply were read; not those that were received behind it.
  void add_read(size_t bytes);
  /// Required after each read: throws when the time is over, or there is an interrupt, however much
  /// there is to read. What arrived while this process was stopped may still be read.
  void check();

  /// Whether the request may have taken longer than the timeout or the wait limit.
  [[nodiscard]] bool was_large_transfer() const { return window_.is_large; }

  [[nodiscard]] Nanoseconds left() const;
  /// The error for when the time is over: "WHAT within 2s".
  [[nodiscard]] Error timeout_error(const std::string& what) const;

  /// Sleeps until one of `waiting` has an event. Returns false when `at_most` has passed first.
  /// Throws "no answer within 2s" when the time is over, however much there is to read.
  bool await(std::vector<pollfd>& waiting, Nanoseconds at_most);
  /// The same for `events` of one descriptor, without a limit of its own.
  void await(int fd, short events);

 private:
  /// A span of time in which bytes must be transferred.
  struct Window {
    Nanoseconds end{0};               // boot clock
    Nanoseconds span{0};              // its length, unless is_cut
    uint64_t received = 0;            // bytes that count
    uint64_t moved = 0;               // bytes in both directions, when the window began
    uint64_t acknowledged = 0;        // bytes sent, likewise
    bool has_rate = false;            // at least 64 KiB are required, not only any reply
    bool is_cut = false;              // ends with the wait limit
    bool is_large = false;            // more than 64 KiB are transferred
    Nanoseconds grace_end = forever;  // until when what arrived in time may still be read
  };

  void begin();
  void check_interrupt(Nanoseconds now);
  void expect_large_transfer();
  bool extend();
  [[nodiscard]] Nanoseconds rate_span() const;
  [[nodiscard]] uint64_t acknowledged() const;

  Nanoseconds timeout_;
  WaitLimit wait_limit_;
  Nanoseconds interrupt_checked_{0};  // when that was, boot clock
  int socket_ = -1;
  uint64_t sent_ = 0;  // bytes of the request
  bool is_request_ = false;
  Window window_;
  Window before_reply_;
  bool is_counted_ = true;  // the last reply was awaited
};

}  // namespace memolock
