// The way of one stream of a run to the caller, at the caller's pace.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "src/descriptor.hpp"
#include "src/spool.hpp"

namespace memolock {

/// Copies what a spool holds to a descriptor in a thread of its own, so that a reader who stalls
/// holds back nobody else. The thread starts with the first byte. A reader who has left is no
/// error: the rest is dropped.
class Outlet : public std::enable_shared_from_this<Outlet> {
 public:
  /// `to` must stay open; it is written to, never changed: it is shared with other processes.
  [[nodiscard]] static std::shared_ptr<Outlet> make(std::shared_ptr<Spool> spool, Stream stream,
                                                    int to);
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  /// Keeps everything back until release() or relay(); before the first byte.
  void hold() { held_ = true; }
  void release();

  /// The spool now holds `size` bytes of the stream.
  void advance(uint64_t size);

  /// From here on the spool gets no more. When it is drained the thread writes `next` and then
  /// passes on `pipe` at the reader's pace until its end; if the reader has left, it closes `pipe`.
  /// Then it calls `at_end`, from its thread.
  void relay(std::string next, Descriptor pipe, std::function<void()> at_end);

  /// No more will come. Returns at once.
  void finish();

  /// Whether finish() has left a thread with something to do; then `done_descriptor` becomes
  /// readable at its end.
  [[nodiscard]] bool has_thread() const { return started_ && !alone_; }
  [[nodiscard]] int done_descriptor() const { return done_.get(); }

  /// After it is done: why not all of it could be written; 0 for none, also when the reader has
  /// left.
  [[nodiscard]] int error() {
    const std::lock_guard guard(mutex_);
    return error_;
  }

 private:
  Outlet(std::shared_ptr<Spool> spool, Stream stream, int to);
  void start();
  void work();
  bool step(std::unique_lock<std::mutex>& lock);
  void changed();
  void note(int error);
  void pass_on(Descriptor pipe);

  std::shared_ptr<Spool> spool_;
  Stream stream_;
  int to_;
  Descriptor done_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  uint64_t available_ = 0;
  bool finished_ = false;
  std::string next_;
  Descriptor pipe_;
  std::function<void()> at_end_;

  bool held_ = false;
  uint64_t held_back_ = 0;
  bool started_ = false;
  bool alone_ = false;  // no thread was to be had

  // Of the thread alone, until it is done and has let go of the mutex.
  uint64_t written_ = 0;
  bool deaf_ = false;
  int error_ = 0;
};

}  // namespace memolock
