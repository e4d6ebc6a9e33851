#include "src/command/output_pump.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

#include "src/command/poll_events.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

// How long to wait for the end of stderr after the command has exited and its stdout has ended:
// other processes may still write to stderr. Short, because `$(…)` does not wait for stderr at all.
constexpr std::chrono::milliseconds stderr_patience{100};
// How long reads of a pipe may fail before the rest of its output is given up.
constexpr std::chrono::seconds read_patience{10};
// Enough for a short output, small enough for malloc not to create a separate mapping.
constexpr size_t small_buffer = 32U << 10;
constexpr size_t large_buffer = 256U << 10;
constexpr int large_pipe = 1 << 20;

/// A pipe whose read end does not block.
Pipe make_output_pipe() {
  Pipe pipe = make_pipe();
  if (fcntl(pipe.read_end.get(), F_SETFL, O_NONBLOCK) != 0)
    throw system_error("cannot create a pipe", errno);
  return pipe;
}

/// Closes the write end, and verifies that it is closed: while it is open in this process, the
/// output does not end.
void close_write_end(Pipe& pipe) noexcept {
  if (!pipe.write_end) return;
  struct stat read_end {};
  struct stat still_open {};
  const int fd = pipe.write_end.release();
  retry_syscall([&] {
    if (close(fd) == 0 || errno == EBADF) return 0;
    const int error = errno;
    const bool is_closed = fstat(pipe.read_end.get(), &read_end) == 0 &&
                           fstat(fd, &still_open) != 0;
    // Both ends of a pipe are the same file. If the descriptor is another file, another thread has
    // reused its number.
    if (is_closed || !is_same_file(read_end, still_open)) return 0;
    errno = error;
    return -1;
  });
}

}  // namespace

int OutputPump::add(Stream stream, std::shared_ptr<Spool> spool,
                    std::shared_ptr<OutputForwarder> forwarder) {
  Channel& added = channel(stream);
  added.chunk.bytes = std::make_unique_for_overwrite<char[]>(small_buffer);
  added.chunk.capacity = small_buffer;
  added.stream = stream;
  added.spool = std::move(spool);
  added.forwarder = std::move(forwarder);
  added.pipe = make_output_pipe();
  return added.pipe.write_end.get();
}

void OutputPump::close_write_ends() noexcept {
  for (Channel& channel : channels_) close_write_end(channel.pipe);
}

pollfd OutputPump::source(Stream stream) const noexcept {
  const Channel& from = channel(stream);
  if (from.is_queued) return readable(-1);
  return readable(from.is_relayed ? from.forwarder->notice_descriptor() : from.pipe.read_end.get());
}

pollfd OutputPump::destination(Stream stream) const noexcept {
  const auto& forwarder = channel(stream).forwarder;
  return writable(forwarder ? forwarder->pending_descriptor() : -1);
}

void OutputPump::read(Stream stream) noexcept {
  Channel& from = channel(stream);
  if (from.is_relayed) {
    from.forwarder->clear_notice();
    if (!from.forwarder->relayed()) return;
    from.is_relayed = false;
    end(from, from.forwarder->take_pipe());
  } else if (from.pipe.read_end && !from.is_queued) {
    (void)read_once(from);
  }
}

void OutputPump::write(Stream stream) noexcept {
  Channel& to = channel(stream);
  to.forwarder->write_some();
  has_written_ = true;
  if (to.forwarder->pending_descriptor() < 0) to.is_queued = false;
}

void OutputPump::command_exited(Nanoseconds stdout_deadline) noexcept {
  has_exited_ = true;
  channel(Stream::out).deadline = stdout_deadline;
  channel(Stream::err).deadline = after(awake_now(), stderr_patience);
}

Nanoseconds OutputPump::next_deadline() const noexcept {
  return std::min(deadline_of(channel(Stream::out)), deadline_of(channel(Stream::err)));
}

/// stderr has no deadline while stdout is open.
Nanoseconds OutputPump::deadline_of(const Channel& of) const noexcept {
  const bool has_none = !is_open(of) || of.is_queued || of.is_set_aside ||
                        (of.stream == Stream::err && is_open(channel(Stream::out)));
  return has_none ? forever : of.deadline;
}

void OutputPump::set_aside_overdue(Nanoseconds now) noexcept {
  for (Channel& channel : channels_)
    if (now >= deadline_of(channel)) set_aside(channel);
}

/// The current content of the pipe is still part of the run. If a forwarder has the pipe or the
/// last chunk, it passes that on first.
void OutputPump::set_aside(Channel& channel) noexcept {
  if (channel.pipe.read_end) read_available(channel);
  if (channel.is_queued) return;
  channel.is_set_aside = true;
  if (channel.is_relayed) channel.forwarder->stop_relay();
  if (channel.pipe.read_end) end(channel, std::move(channel.pipe.read_end));
}

/// Reads the current content of the pipe, and then once more to detect its end.
void OutputPump::read_available(Channel& channel) noexcept {
  for (ssize_t left = bytes_available(channel.pipe.read_end.get());
       channel.pipe.read_end && left >= 0;) {
    const ssize_t got = read_once(channel);
    if (got < 0 || channel.is_queued) return;
    left -= got;
  }
}

/// Returns the result of read(2).
ssize_t OutputPump::read_once(Channel& channel) noexcept {
  Chunk& chunk = channel.chunk;
  const ssize_t got = ::read(channel.pipe.read_end.get(), chunk.bytes.get(), chunk.capacity);
  if (got < 0) {
    note_read_error(channel, errno);
    return got;
  }
  channel.failing_since = forever;
  chunk.size = static_cast<size_t>(got);
  if (got == 0) {
    close(channel);
  } else {
    store(channel);
  }
  return got;
}

/// A pipe that cannot be read is not at its end, but its output can no longer be stored.
void OutputPump::note_read_error(Channel& channel, int error) noexcept {
  if (error == EAGAIN || error == EINTR) return;
  channel.spool->refuse_unreadable(error);
  refuse();
  retry_ = true;
  const Nanoseconds now = awake_now();
  channel.failing_since = std::min(channel.failing_since, now);
  if (now < channel.failing_since + read_patience) return;
  read_error_ = error;
  close(channel);
}

void OutputPump::store(Channel& channel) noexcept {
  if (channel.spool->append(channel.stream, {channel.chunk.bytes.get(), channel.chunk.size})) {
    channel.forwarder->advance(channel.spool->size(channel.stream));
    if (channel.chunk.size == small_buffer) enlarge_buffer(channel);
    return;
  }
  refuse();
  bypass_spool(channel);
}

/// Does nothing if there is no memory for it.
void OutputPump::enlarge_buffer(Channel& channel) noexcept {
  if (channel.chunk.capacity == large_buffer) return;
  std::unique_ptr<char[]> large(new (std::nothrow) char[large_buffer]);
  if (!large) return;
  fcntl(channel.pipe.read_end.get(), F_SETPIPE_SZ, large_pipe);
  channel.chunk.bytes = std::move(large);
  channel.chunk.capacity = large_buffer;
}

void OutputPump::refuse() noexcept {
  if (!std::exchange(is_refused_, true)) (void)failure_of(on_refusal_);
}

/// Hands the pipe over to the forwarder. A forwarder without a thread gets one chunk at a time; the
/// next chunk is read when that has been written.
void OutputPump::bypass_spool(Channel& channel) noexcept {
  if (channel.forwarder->relay(channel.chunk, channel.pipe.read_end)) {
    channel.is_relayed = true;
  } else if (channel.forwarder->queue({channel.chunk.bytes.get(), channel.chunk.size})) {
    channel.is_queued = true;
  } else {
    close(channel);
  }
}

void OutputPump::close(Channel& channel) noexcept {
  channel.pipe.read_end.reset();
  end(channel, {});
}

void OutputPump::end(Channel& ended, Descriptor late) noexcept {
  ended.late = std::move(late);
  // A process that holds both streams closes stdout first.
  if (has_exited_ && ended.stream == Stream::out && !ended.late)
    channel(Stream::err).deadline = after(awake_now(), stderr_patience);
}

int OutputPump::open_count() const noexcept {
  return static_cast<int>(std::count_if(channels_.begin(), channels_.end(), is_open));
}

int OutputPump::relayed_count() const noexcept {
  return static_cast<int>(std::count_if(
      channels_.begin(), channels_.end(),
      [](const Channel& channel) { return channel.is_relayed || channel.is_queued; }));
}

Descriptor OutputPump::take_late(Stream stream) noexcept {
  Channel& of = channel(stream);
  of.chunk.bytes.reset();
  return std::move(of.late);
}

}  // namespace memolock
