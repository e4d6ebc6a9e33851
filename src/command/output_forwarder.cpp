#include "src/command/output_forwarder.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <thread>
#include <utility>

#include "src/system/error.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

Descriptor make_event(int flags) {
  Descriptor made(eventfd(0, EFD_CLOEXEC | flags));
  if (!made) throw system_error("cannot create an event descriptor", errno);
  return made;
}

void notify(const Descriptor& event) noexcept {
  const uint64_t one = 1;
  retry_syscall([&] { return write(event.get(), &one, sizeof one); });
}

constexpr ssize_t nothing_yet = SSIZE_MAX;

/// read(2) from a non-blocking pipe, retried when the kernel is out of memory. Returns
/// `nothing_yet` if the pipe is empty.
ssize_t read_ready(int from, const Chunk& into) noexcept {
  return retry_syscall([&] {
    const ssize_t got = read(from, into.bytes.get(), into.capacity);
    return got < 0 && errno == EAGAIN ? nothing_yet : got;
  });
}

}  // namespace

OutputForwarder::OutputForwarder(std::shared_ptr<Spool> spool, Stream stream, int to)
    : spool_(std::move(spool)),
      stream_(stream),
      to_(to),
      wake_(make_event(0)),
      notice_(make_event(EFD_NONBLOCK)) {}

std::shared_ptr<OutputForwarder> OutputForwarder::make(std::shared_ptr<Spool> spool, Stream stream,
                                                       int to) {
  return std::shared_ptr<OutputForwarder>(new OutputForwarder(std::move(spool), stream, to));
}

void OutputForwarder::start() noexcept {
  if (std::exchange(started_, true)) return;
  // The thread is detached and shares the ownership of everything that it uses: a thread that is
  // blocked in a write cannot be cancelled, and memolock must not wait for it when it is
  // interrupted.
  const auto failure = failure_of(
      [&] { std::thread([self = shared_from_this()] { self->run_thread(); }).detach(); });
  has_no_thread_ = failure.has_value();
}

void OutputForwarder::release() noexcept {
  if (std::exchange(held_, false) && held_back_ > 0) advance(held_back_);
}

void OutputForwarder::advance(uint64_t size) noexcept {
  if (held_) {
    held_back_ = size;
    return;
  }
  available_ = size;
  start();
  if (!has_no_thread_) notify(wake_);
}

bool OutputForwarder::relay(Chunk& next, Descriptor& pipe) noexcept {
  release();
  start();
  if (has_no_thread_) return false;
  next_ = std::move(next);
  pipe_ = std::move(pipe);
  handed_over_ = true;
  notify(wake_);
  return true;
}

void OutputForwarder::stop_relay() noexcept {
  stop_relay_ = true;
  notify(wake_);
}

bool OutputForwarder::queue(std::string_view bytes) noexcept {
  release();
  queued_ = bytes;
  return !is_discarding_;
}

/// Writes at most PIPE_BUF bytes, which does not block after poll(2) has reported POLLOUT.
void OutputForwarder::write_some() noexcept {
  if (!is_pending()) return;
  if (const uint64_t upto = available_; upto > written_)
    return write_spooled(std::min<uint64_t>(upto, written_ + PIPE_BUF));
  const std::string_view some = queued_.substr(0, PIPE_BUF);
  note_result(write_all(to_, some));
  queued_.remove_prefix(some.size());
}

void OutputForwarder::finish() noexcept {
  finished_ = true;
  if (started_ && !has_no_thread_) notify(wake_);
}

void OutputForwarder::clear_notice() const noexcept {
  uint64_t count = 0;
  (void)!read(notice_.get(), &count, sizeof count);
}

void OutputForwarder::note_result(int error) noexcept {
  if (error == 0) return;
  is_discarding_ = true;
  if (!reader_has_left(error)) error_ = error;
}

void OutputForwarder::write_spooled(uint64_t upto) noexcept {
  const uint64_t from = spool_->base(stream_) + written_;
  if (upto > written_ && !is_discarding_)
    note_result(copy_range(spool_->file(stream_), from, upto - written_, to_));
  written_ = upto;
}

void OutputForwarder::relay_pipe() noexcept {
  if (!is_discarding_) note_result(write_all(to_, {next_.bytes.get(), next_.size}));
  bool stopping = false;
  // `left`: the remaining bytes of those that were in the pipe when the relay was to stop. One more
  // read detects the end of the pipe.
  for (int64_t left = 0; !is_discarding_ && left >= 0;) {
    if (!stopping && stop_relay_) {
      stopping = true;
      left = bytes_available(pipe_.get());
    }
    const ssize_t got = read_ready(pipe_.get(), next_);
    if (got == nothing_yet && stopping) break;
    if (got == nothing_yet) {
      await_pipe();
      continue;
    }
    note_result(got < 0 ? errno : write_all(to_, {next_.bytes.get(), static_cast<size_t>(got)}));
    if (got == 0) {
      pipe_.reset();
      break;
    }
    if (stopping) left -= got;
  }
  if (is_discarding_) pipe_.reset();
  next_.bytes.reset();
}

/// Waits until the pipe is readable or the owner has set one of the flags.
void OutputForwarder::await_pipe() const noexcept {
  std::array<pollfd, 2> waiting{{{.fd = pipe_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = wake_.get(), .events = POLLIN, .revents = 0}}};
  if (poll_for(waiting, forever) < 0) pause_briefly();
  uint64_t count = 0;
  if (waiting[1].revents != 0) (void)!read(wake_.get(), &count, sizeof count);
}

void OutputForwarder::run_thread() noexcept {
  for (;;) {
    // Read in the reverse of the order in which they are set, so that no change is missed.
    const bool finished = finished_;
    const bool handed_over = handed_over_;
    const uint64_t upto = available_;
    if (upto > written_) {
      write_spooled(upto);
    } else if (handed_over && !relayed_) {
      relay_pipe();
      relayed_ = true;
      notify(notice_);
    } else if (finished) {
      break;
    } else {
      uint64_t count = 0;
      retry_syscall([&] { return read(wake_.get(), &count, sizeof count); });
    }
  }
  done_ = true;
  notify(notice_);
}

}  // namespace memolock
