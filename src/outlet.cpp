#include "src/outlet.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "src/error.hpp"

namespace memolock {

Outlet::Outlet(std::shared_ptr<Spool> spool, Stream stream, int to)
    : spool_(std::move(spool)), stream_(stream), to_(to), done_(eventfd(0, EFD_CLOEXEC)) {
  if (!done_) throw system_error("cannot make an event descriptor", errno);
}

std::shared_ptr<Outlet> Outlet::make(std::shared_ptr<Spool> spool, Stream stream, int to) {
  return std::shared_ptr<Outlet>(new Outlet(std::move(spool), stream, to));
}

void Outlet::start() {
  if (std::exchange(started_, true)) return;
  try {
    // Detached, and an owner of all it touches: a thread that is blocked in a write cannot be
    // called back, and whoever is interrupted meanwhile must not wait for it.
    std::thread([self = shared_from_this()] { self->work(); }).detach();
  } catch (const std::system_error&) {
    alone_ = true;
  }
}

/// After something has changed under the mutex: wakes the thread, or does its work.
void Outlet::changed() {
  if (!alone_) return changed_.notify_one();
  std::unique_lock lock(mutex_);
  while (step(lock)) {
  }
}

void Outlet::release() {
  if (std::exchange(held_, false) && held_back_ > 0) advance(held_back_);
}

void Outlet::advance(uint64_t size) {
  if (held_) {
    held_back_ = size;
    return;
  }
  {
    const std::lock_guard guard(mutex_);
    available_ = size;
  }
  // Not before: a thread that finds all finished and nothing to do ends.
  start();
  changed();
}

void Outlet::relay(std::string next, Descriptor pipe, std::function<void()> at_end) {
  release();
  {
    const std::lock_guard guard(mutex_);
    next_ = std::move(next);
    pipe_ = std::move(pipe);
    at_end_ = std::move(at_end);
  }
  start();
  changed();
}

void Outlet::finish() {
  {
    const std::lock_guard guard(mutex_);
    finished_ = true;
  }
  changed();
}

void Outlet::note(int error) {
  if (error == 0) return;
  deaf_ = true;
  if (!reader_has_left(error)) error_ = error;
}

void Outlet::pass_on(Descriptor pipe) {
  constexpr size_t size = 64U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(size);
  while (!deaf_) {
    const ssize_t got = read(pipe.get(), buffer.get(), size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    note(write_all(to_, {buffer.get(), static_cast<size_t>(got)}));
  }
}

/// Does what there is to do, the mutex unlocked meanwhile; false when there is nothing.
bool Outlet::step(std::unique_lock<std::mutex>& lock) {
  if (available_ > written_) {
    const uint64_t upto = available_;
    const int file = spool_->file(stream_);
    lock.unlock();
    if (!deaf_) note(copy_range(file, spool_->base(stream_) + written_, upto - written_, to_));
    written_ = upto;
  } else if (pipe_) {
    const std::string next = std::exchange(next_, {});
    Descriptor pipe = std::move(pipe_);
    const auto at_end = std::exchange(at_end_, nullptr);
    lock.unlock();
    if (!deaf_) note(write_all(to_, next));
    pass_on(std::move(pipe));
    at_end();
  } else {
    return false;
  }
  lock.lock();
  return true;
}

void Outlet::work() {
  {
    std::unique_lock lock(mutex_);
    while (!finished_ || available_ > written_ || pipe_)
      if (!step(lock)) changed_.wait(lock);
  }
  const uint64_t one = 1;
  (void)!write(done_.get(), &one, sizeof one);
}

}  // namespace memolock
