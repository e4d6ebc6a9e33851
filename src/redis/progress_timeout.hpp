// How long a server may take to be connected and to answer, and what ends a wait before that.
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
struct Cutoff {
  int interrupt = -1;           ///< a descriptor, when it becomes readable; -1: none
  Nanoseconds until = forever;  ///< a moment of the boot clock

  /// The same, and no later than `length` from now.
  [[nodiscard]] Cutoff within(Nanoseconds length) const;
};

/// Bounds every wait of one connection. Connecting has `timeout` in all, and so has each request,
/// from begin_request() to the last byte of its answer; neither begins anew with what comes in
/// between. Only a request that moves more than 64 KiB may take longer: while the peer has taken or
/// sent at least 64 KiB in each max(timeout, 2s). What was sent counts when the peer has
/// acknowledged it; what was received counts when it is part of a reply that was awaited.
///
/// A request that begins after the cutoff fails at once, and one under way when it comes; but not
/// an answer of more than 64 KiB that is arriving. All errors are Error(store), worded to follow
/// the server's name, and Error(interrupted).
class ProgressTimeout {
 public:
  /// begin_connecting() must follow.
  ProgressTimeout(Nanoseconds timeout, const Cutoff& cutoff);

  /// Of the next request on; the interrupt at once.
  void set_cutoff(const Cutoff& cutoff) { cutoff_ = cutoff; }

  void begin_connecting();
  /// The connected socket, which is asked how much of what was sent has arrived.
  void set_socket(int socket) { socket_ = socket; }
  void begin_request();
  /// More than 64 KiB are about to be sent, or are announced by the reply that is being read.
  void expect_upload() { expect_much(); }
  void expect_download();

  /// The peer takes no more: it has the time of an answer to say why.
  void await_reason();

  /// The next reply is about to be read. Until count_reply() its bytes are no lasting progress: it
  /// may be a message, of which there can be any number. Throws when the time is over.
  void begin_reply();
  /// It was awaited.
  void count_reply() { is_counted_ = true; }

  /// Throws when an interrupt has come: a peer that always takes more is never waited for.
  void add_sent(size_t bytes);
  /// So much of the reply has been read. What has been received behind it may be no reply.
  void add_read(size_t bytes);
  /// After each step: throws when the time is over, or an interrupt has come, however much there is
  /// to read. But what came while this process was stopped is taken.
  void check();

  /// Whether the request may have taken longer than the timeout, or than the cutoff allowed.
  [[nodiscard]] bool was_large_transfer() const { return window_.is_large; }

  [[nodiscard]] Nanoseconds left() const;
  /// "WHAT within 2s", for when it is over.
  [[nodiscard]] Error over(const std::string& what) const;

  /// Sleeps until one of `waiting` has an event of its own. Returns false when `at_most` has passed
  /// first. Throws "no answer within 2s" when the time is over, however much there is to read.
  bool await(std::vector<pollfd>& waiting, Nanoseconds at_most);
  /// The same for `events` of one descriptor and as long as it takes.
  void await(int fd, short events);

 private:
  /// A span of time that something must be moved in.
  struct Window {
    Nanoseconds end{0};               // boot clock
    Nanoseconds span{0};              // how long it is, unless it is cut
    uint64_t received = 0;            // as far as it counts
    uint64_t moved = 0;               // either way, when the window began
    uint64_t acknowledged = 0;        // of what was sent, then
    bool has_rate = false;            // less than 64 KiB is too little, not only no answer
    bool is_cut = false;              // it ends with the cutoff
    bool is_large = false;            // more than 64 KiB are moved
    Nanoseconds grace_end = forever;  // of what was there when it had ended
  };

  void begin();
  void look_for_interrupt(Nanoseconds now);
  void expect_much();
  bool extend();
  [[nodiscard]] Nanoseconds rate_span() const;
  [[nodiscard]] uint64_t acknowledged() const;

  Nanoseconds timeout_;
  Cutoff cutoff_;
  Nanoseconds looked_{0};  // for an interrupt; boot clock
  int socket_ = -1;
  uint64_t sent_ = 0;  // of the request
  bool is_request_ = false;
  Window window_;
  Window before_reply_;
  bool is_counted_ = true;  // the last reply
};

}  // namespace memolock
