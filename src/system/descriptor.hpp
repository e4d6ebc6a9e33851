// File descriptors: their owner, and moving bytes between them. Every descriptor made here is
// close-on-exec.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "src/system/clock.hpp"

struct pollfd;

namespace memolock {

/// Owns a file descriptor and closes it; empty is -1.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read_end, write_end;
};

/// A new pipe. Throws Error(store) when the process is out of descriptors.
[[nodiscard]] Pipe make_pipe();

/// How many bytes can be read from a pipe now.
[[nodiscard]] int bytes_in(int pipe) noexcept;

enum class Ready { readable, interrupted, timed_out };

/// As poll(2), for `length` at most.
[[nodiscard]] int poll_for(std::span<pollfd> waiting, Nanoseconds length) noexcept;

/// Sleeps until `fd` is readable, `interrupt` is, or `deadline` (boot clock) has passed; -1 for
/// `fd` stands for nothing. Throws Error(store) when the kernel cannot say so.
[[nodiscard]] Ready await_readable(int fd, int interrupt, Nanoseconds deadline);

/// The same for any events of several descriptors, the last of which is the interrupt; which came
/// is in `waiting`.
[[nodiscard]] Ready await_events(std::span<pollfd> waiting, Nanoseconds deadline);

/// Whether a write failed with this errno because nobody reads any more, which is no fault of the
/// writer's.
[[nodiscard]] bool reader_has_left(int error) noexcept;

/// Writes all of `bytes`, blocking as long as it takes. Returns 0 or the errno (perhaps one for
/// reader_has_left).
[[nodiscard]] int write_all(int to, std::string_view bytes) noexcept;

/// Writes `bytes` to a FIFO or device that this process itself has opened with O_NONBLOCK, and
/// never waits. Returns 0 or the errno: EAGAIN when it is full. Of more than PIPE_BUF bytes the
/// front may have been written to a device, and to a FIFO that others write to at the same time.
/// Into a regular file it writes all of them.
[[nodiscard]] int try_write(int to, std::string_view bytes) noexcept;

/// Writes all of `bytes` at `offset`. Returns 0 or the errno.
[[nodiscard]] int write_all_at(int to, std::string_view bytes, uint64_t offset) noexcept;

/// Reads what is there, up to `size` bytes, and blocks until there is something. Returns the count,
/// 0 at the end of file, or -1 with errno set.
[[nodiscard]] ssize_t read_some(int from, char* into, size_t size);

/// Reads up to `size` bytes at `offset` until end of file. Returns the count, or -1 with errno set.
[[nodiscard]] ssize_t read_all_at(int from, char* into, size_t size, uint64_t offset) noexcept;

/// Copies `length` bytes of the file `from`, starting at `offset`, to where `to` stands, without
/// passing them through this process where the kernel can: splice into a pipe, copy_file_range into
/// a file, sendfile elsewhere. What is at most PIPE_BUF goes into a pipe with one write(2), which
/// does not block while poll(2) says POLLOUT. Blocks as long as it takes. Returns 0, or the errno
/// of the side that failed (perhaps one for reader_has_left; EIO: `from` is short).
[[nodiscard]] int copy_range(int from, uint64_t offset, uint64_t length, int to) noexcept;

}  // namespace memolock
