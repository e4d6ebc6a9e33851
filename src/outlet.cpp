#include "src/outlet.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "src/error.hpp"

namespace memolock {

Outlet::Outlet(std::shared_ptr<Spool> spool, Stream stream, int to)
    : spool_(std::move(spool)), stream_(stream), to_(to) {}

std::shared_ptr<Outlet> Outlet::make(std::shared_ptr<Spool> spool, Stream stream, int to) {
  return std::shared_ptr<Outlet>(new Outlet(std::move(spool), stream, to));
}

void Outlet::start() {
  if (done_) return;
  done_.reset(eventfd(0, EFD_CLOEXEC));
  if (!done_) throw system_error("cannot make an event descriptor", errno);
  // Detached, and an owner of all it touches: a thread that is blocked in a write cannot be called
  // back, and whoever is interrupted meanwhile must not wait for it.
  std::thread([self = shared_from_this()] { self->work(); }).detach();
}

void Outlet::advance(uint64_t size) {
  start();
  const std::lock_guard guard(mutex_);
  available_ = size;
  changed_.notify_one();
}

void Outlet::relay(std::string next, Descriptor pipe, std::function<void()> at_end) {
  start();
  const std::lock_guard guard(mutex_);
  next_ = std::move(next);
  pipe_ = std::move(pipe);
  at_end_ = std::move(at_end);
  changed_.notify_one();
}

void Outlet::finish() {
  const std::lock_guard guard(mutex_);
  finished_ = true;
  changed_.notify_one();
}

void Outlet::note(int error) {
  if (error == 0) return;
  deaf_ = true;
  if (error != EPIPE) error_ = error;
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

void Outlet::work() {
  uint64_t written = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return available_ > written || pipe_ || finished_; });
    if (available_ > written) {
      const uint64_t upto = available_;
      const int file = spool_->file(stream_);
      lock.unlock();
      if (!deaf_) note(copy_range(file, spool_->base(stream_) + written, upto - written, to_));
      written = upto;
      lock.lock();
    } else if (pipe_) {
      const std::string next = std::exchange(next_, {});
      Descriptor pipe = std::move(pipe_);
      const auto at_end = std::exchange(at_end_, nullptr);
      lock.unlock();
      if (!deaf_) note(write_all(to_, next));
      pass_on(std::move(pipe));
      at_end();
      lock.lock();
    } else {
      break;
    }
  }
  const uint64_t one = 1;
  (void)!write(done_.get(), &one, sizeof one);
}

}  // namespace memolock
