// Passes one stream of a run on to the caller at the caller's pace.
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

/// A buffer, and the number of bytes in it.
struct Chunk {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  size_t size = 0;
};

/// Copies a stream of a spool to a descriptor in a thread of its own, so that a reader that stalls
/// delays nothing else. The thread is started with the first byte. If that fails, the owner's
/// thread writes, a little at a time ("without a thread" below). If the reader has left, the rest
/// is discarded without an error.
///
/// All functions are called by the owner's thread. make() allocates everything except the thread.
/// No other function allocates or takes a lock, and system calls that may succeed later are
/// retried.
class OutputForwarder : public std::enable_shared_from_this<OutputForwarder> {
 public:
  /// `to` must stay open. Its flags are not changed, because other processes share them. Throws
  /// Error(store).
  [[nodiscard]] static std::shared_ptr<OutputForwarder> make(std::shared_ptr<Spool> spool,
                                                             Stream stream, int to);
  OutputForwarder(const OutputForwarder&) = delete;
  OutputForwarder& operator=(const OutputForwarder&) = delete;

  /// Holds everything back until release(), relay() or queue(). To be called before the first byte.
  void hold() { held_ = true; }
  void release() noexcept;

  /// The spool now contains `size` bytes of the stream.
  void advance(uint64_t size) noexcept;

  /// The spool gets no more output. After the content of the spool, the thread writes `next`, and
  /// then everything that it reads from `pipe` until its end; if the reader has left, it closes
  /// `pipe`. Then relayed() is true. Without a thread, returns false and does not change its
  /// arguments: call queue() for each chunk instead.
  [[nodiscard]] bool relay(Chunk& next, Descriptor& pipe) noexcept;
  [[nodiscard]] bool relayed() const { return relayed_; }

  /// After relay(): ends the relay when the current content of the pipe has been written. Then
  /// relayed() is true, and take_pipe() returns the pipe, empty if that was at its end.
  void stop_relay() noexcept;
  [[nodiscard]] Descriptor take_pipe() noexcept { return std::move(pipe_); }

  /// Without a thread: adds `bytes`, which must stay valid, to the pending output. Returns false if
  /// the reader has left.
  [[nodiscard]] bool queue(std::string_view bytes) noexcept;

  /// Without a thread: the descriptor for which output is pending; -1 if there is none. When
  /// poll(2) reports that it is writable, write_some() writes as much as is possible without
  /// blocking.
  [[nodiscard]] int pending_descriptor() const noexcept { return is_pending() ? to_ : -1; }
  void write_some() noexcept;

  /// To be called when there is no more output. Does not wait.
  void finish() noexcept;
  /// After finish(): whether everything has been written or discarded.
  [[nodiscard]] bool is_done() const {
    return !started_ || (has_no_thread_ ? !is_pending() : done_.load());
  }

  /// Becomes readable when relayed() or is_done() has become true, until clear_notice().
  [[nodiscard]] int notice_descriptor() const { return notice_.get(); }
  void clear_notice() const noexcept;

  /// Where output after finish() may be written; -1 (nowhere) until all earlier output has been
  /// written.
  [[nodiscard]] int destination() const { return held_ || !is_done() ? -1 : to_; }
  [[nodiscard]] bool reader_left() const { return is_done() && is_discarding_ && error_ == 0; }

  /// Once is_done(): the errno of the write that failed; 0 if all output was written or the reader
  /// has left.
  [[nodiscard]] int error() const { return error_; }

 private:
  OutputForwarder(std::shared_ptr<Spool> spool, Stream stream, int to);
  void start() noexcept;
  void run_thread() noexcept;
  [[nodiscard]] bool is_pending() const noexcept {
    return has_no_thread_ && !is_discarding_ && (available_ > written_ || !queued_.empty());
  }
  void write_spooled(uint64_t upto) noexcept;
  void relay_pipe() noexcept;
  void await_pipe() const noexcept;
  void note_result(int error) noexcept;

  std::shared_ptr<Spool> spool_;
  Stream stream_;
  int to_;
  Descriptor wake_;    // wakes the thread
  Descriptor notice_;  // notifies the owner of progress in the thread

  // Set by the owner's thread, in this order.
  std::atomic<uint64_t> available_ = 0;
  std::atomic<bool> handed_over_ = false;  // `next_` and `pipe_`
  std::atomic<bool> stop_relay_ = false;
  std::atomic<bool> finished_ = false;
  Chunk next_;
  Descriptor pipe_;

  bool held_ = false;
  uint64_t held_back_ = 0;
  bool started_ = false;
  bool has_no_thread_ = false;  // the thread could not be started
  std::string_view queued_;     // in that case: written after the spool's content

  // Used by the thread until it is done; by the owner's thread if there is none.
  uint64_t written_ = 0;
  bool is_discarding_ = false;
  int error_ = 0;
  std::atomic<bool> relayed_ = false;
  std::atomic<bool> done_ = false;
};

}  // namespace memolock
