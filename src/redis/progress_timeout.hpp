// Time limits for connecting to a server and for each request, and the events that end a wait
// earlier.
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

/// The conditions that end any wait for a server early.
struct WaitLimit {
  int interrupt = -1;  ///< a descriptor that ends the wait when it becomes readable; -1: none
  Nanoseconds until = forever;  ///< a time on the boot clock

  /// The same, but no later than `length` from now.
  [[nodiscard]] WaitLimit within(Nanoseconds length) const;
};

/// Bounds every wait of one connection. Used by one thread. Connecting may take `timeout` in total,
/// and so may each request, from begin_request() to the last byte of its reply; bytes that arrive
/// in between do not extend it. Only a request that transfers more than 64 KiB may take longer, as
/// long as the peer accepts or sends at least 64 KiB in each period of max(timeout, 2s). Sent bytes
/// are counted once the peer has acknowledged them; received bytes are counted if they are part of
/// the reply to a command.
///
/// When WaitLimit::until has passed, a request in progress fails, and later ones fail immediately;
/// but a transfer of more than 64 KiB that has begun continues. An interrupt ends all of them.
/// Throws Error(store), with a message worded to follow the server's name, and Error(interrupted).
class ProgressTimeout {
 public:
  /// begin_connecting() must be called before anything else.
  ProgressTimeout(Nanoseconds timeout, const WaitLimit& wait_limit);

  /// Applies from the next request on; its interrupt applies immediately.
  void set_wait_limit(const WaitLimit& wait_limit) { wait_limit_ = wait_limit; }

  void begin_connecting();
  /// The connected socket, which provides the number of acknowledged bytes.
  void set_socket(int socket) { socket_ = socket; }
  void begin_request();
  /// More than 64 KiB are about to be sent, or are announced in the reply that is being read.
  void expect_upload() { expect_large_transfer(); }
  void expect_download();

  /// The peer has stopped reading. Allows it one more timeout to say why, unless the request is to
  /// end at the wait limit.
  void await_final_reply();

  /// The next reply is about to be read. Its bytes are counted as progress only after
  /// count_reply_as_progress(): it may be a message, and any number of messages may arrive. Throws
  /// if the time limit has passed.
  void begin_reply();
  /// The reply being read belongs to a command, so its bytes are counted as progress.
  void count_reply_as_progress() { is_counted_ = true; }

  /// `bytes` more were sent. Throws if there is an interrupt, which no wait would notice while the
  /// peer accepts everything immediately.
  void add_sent(size_t bytes);
  /// `bytes` more of the reply were read. Bytes that were received after its end are not counted.
  void add_read(size_t bytes);
  /// To be called after each read. Throws if the time limit has passed or there is an interrupt,
  /// even if there is more to read. Data that arrived while this process was stopped may still be
  /// read.
  void check();

  /// Whether the request transferred more than 64 KiB, and so may have taken longer than the
  /// timeout or the wait limit.
  [[nodiscard]] bool was_large_transfer() const { return window_.is_large; }

  [[nodiscard]] Nanoseconds left() const;
  /// The error to throw if the time limit has passed: "WHAT within 2s", or "WHAT in time" at the
  /// wait limit.
  [[nodiscard]] Error timeout_error(const std::string& what) const;

  /// Sleeps until one of `waiting` has an event. Returns false if `at_most` has passed first.
  /// Throws "no answer within 2s" if the time limit has passed, even if there is data to read.
  bool await(std::vector<pollfd>& waiting, Nanoseconds at_most);
  /// Sleeps until one of `events` occurs on `fd`. Throws as the function above does.
  void await(int fd, short events);

 private:
  /// A span of time in which bytes must be transferred.
  struct Window {
    Nanoseconds end{0};               // boot clock
    Nanoseconds span{0};              // its length, unless is_cut
    uint64_t received = 0;            // counted bytes
    uint64_t moved = 0;               // bytes in both directions, when the window began
    uint64_t acknowledged = 0;        // bytes sent, likewise
    bool has_rate = false;            // at least 64 KiB are required, not just any reply
    bool is_cut = false;              // ends with the wait limit
    bool is_large = false;            // more than 64 KiB are transferred
    Nanoseconds grace_end = forever;  // until when data that arrived in time may still be read
  };

  void begin();
  void check_interrupt(Nanoseconds now);
  void expect_large_transfer();
  bool extend();
  [[nodiscard]] Nanoseconds rate_span() const;
  [[nodiscard]] uint64_t acknowledged() const;

  Nanoseconds timeout_;
  WaitLimit wait_limit_;
  Nanoseconds interrupt_checked_{0};  // when the interrupt was last checked, boot clock
  int socket_ = -1;
  uint64_t sent_ = 0;  // bytes of the request
  bool is_request_ = false;
  Window window_;
  Window before_reply_;
  bool is_counted_ = true;  // the bytes of the last reply are counted as progress
};

}  // namespace memolock
