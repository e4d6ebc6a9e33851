// The way of one stream of a run to the caller, at the caller's pace.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "src/entry/spool.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// A buffer, and how much of it is filled.
struct Chunk {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  size_t size = 0;
};

/// Copies what a spool holds to a descriptor in a thread of its own, so that a reader that stalls
/// holds back nobody else. The thread starts with the first byte. Where none can be started, the
/// caller's thread writes, a little at a time. A reader that has left is not an error: the rest is
/// dropped.
///
/// All that it needs but the thread is there when it is made: nothing here allocates or takes a
/// lock after that, or gives up because a system call has failed that may succeed a moment later.
class OutputForwarder : public std::enable_shared_from_this<OutputForwarder> {
 public:
  /// `to` must stay open; it is written to, never changed: it is shared with other processes.
  /// Throws Error(store).
  [[nodiscard]] static std::shared_ptr<OutputForwarder> make(std::shared_ptr<Spool> spool,
                                                             Stream stream, int to);
  OutputForwarder(const OutputForwarder&) = delete;
  OutputForwarder& operator=(const OutputForwarder&) = delete;

  /// Keeps everything back until release() or relay(); before the first byte.
  void hold() { held_ = true; }
  void release() noexcept;

  /// The spool now holds `size` bytes of the stream.
  void advance(uint64_t size) noexcept;

  /// From here on the spool gets no more. When it is drained the thread writes `next` and then
  /// passes on `pipe` at the reader's pace until its end; if the reader has left, it closes `pipe`.
  /// Then relayed() is true. Returns false, and takes nothing, when there is no thread: pass() each
  /// piece then.
  [[nodiscard]] bool relay(Chunk& next, Descriptor& pipe) noexcept;
  [[nodiscard]] bool relayed() const { return relayed_; }

  /// After relay(): what is in the pipe by now is still written, but then relayed() is true and
  /// take_back() has the pipe, unless it has ended.
  void stop_relay() noexcept;
  [[nodiscard]] Descriptor take_back() noexcept { return std::move(pipe_); }

  /// Without a thread: `bytes`, which must stay there, are to be written when nothing else is
  /// pending. False: the reader has left.
  [[nodiscard]] bool pass(std::string_view bytes) noexcept;

  /// Without a thread: the descriptor that takes what is pending; -1 when nothing is. When poll(2)
  /// says that it is writable, write_some() writes as much as does not block.
  [[nodiscard]] int waits_for() const noexcept { return is_pending() ? to_ : -1; }
  void write_some() noexcept;

  /// No more will come. Returns at once.
  void finish() noexcept;
  /// Whether all has been written, or dropped; after finish().
  [[nodiscard]] bool is_done() const {
    return !started_ || (alone_ ? !is_pending() : done_.load());
  }

  /// Becomes readable when relayed() or is_done() has become true; take_notice() ends that.
  [[nodiscard]] int notice_descriptor() const { return notice_.get(); }
  void take_notice() const noexcept;

  /// Where goes what comes after finish(): -1, nowhere, unless all that came before has been
  /// written.
  [[nodiscard]] int destination() const { return held_ || !is_done() ? -1 : to_; }
  [[nodiscard]] bool reader_left() const { return is_done() && gave_up_ && error_ == 0; }

  /// When it is done: why not all of it could be passed on; 0 for none, also when the reader has
  /// left.
  [[nodiscard]] int error() const { return error_; }

 private:
  OutputForwarder(std::shared_ptr<Spool> spool, Stream stream, int to);
  void start() noexcept;
  void work() noexcept;
  [[nodiscard]] bool is_pending() const noexcept {
    return alone_ && !gave_up_ && (available_ > written_ || !passing_.empty());
  }
  void write_spooled(uint64_t upto) noexcept;
  void pass_on() noexcept;
  void await_pipe() const noexcept;
  void note(int error) noexcept;

  std::shared_ptr<Spool> spool_;
  Stream stream_;
  int to_;
  Descriptor wake_;    // wakes the thread
  Descriptor notice_;  // says that it has done something

  // Set by the caller's thread, in this order.
  std::atomic<uint64_t> available_ = 0;
  std::atomic<bool> handed_over_ = false;  // `next_` and `pipe_`
  std::atomic<bool> stop_relay_ = false;
  std::atomic<bool> finished_ = false;
  Chunk next_;
  Descriptor pipe_;

  bool held_ = false;
  uint64_t held_back_ = 0;
  bool started_ = false;
  bool alone_ = false;        // no thread could be started
  std::string_view passing_;  // then: what comes when the spool is drained

  // Of the thread alone until it is done, or of the caller's when there is none.
  uint64_t written_ = 0;
  bool gave_up_ = false;
  int error_ = 0;
  std::atomic<bool> relayed_ = false;
  std::atomic<bool> done_ = false;
};

}  // namespace memolock
