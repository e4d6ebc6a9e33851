// File descriptors: a class that owns one, and functions that wait for them and copy bytes between
// them. Every descriptor created here is close-on-exec.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "src/system/clock.hpp"

struct pollfd;

namespace memolock {

/// Owns a file descriptor and closes it. An empty object contains -1.
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

/// A new pipe. Throws Error(store) if the process has no descriptors left.
[[nodiscard]] Pipe make_pipe();

/// How many bytes can be read from a pipe without blocking.
[[nodiscard]] int bytes_available(int pipe) noexcept;

enum class WaitEnd { readable, interrupted, timed_out };

/// Calls ppoll(2) with the timeout `length`; `forever`: none.
[[nodiscard]] int poll_for(std::span<pollfd> waiting, Nanoseconds length) noexcept;

/// Blocks until `fd` or `interrupt` is readable or `deadline` has passed on the boot_now() clock.
/// An `fd` of -1 stands for none. If both are readable, the result is `readable`. Throws
/// Error(store) if poll fails.
[[nodiscard]] WaitEnd await_readable(int fd, int interrupt, Nanoseconds deadline);

/// The same for the events that `waiting` asks for; its last element is the interrupt. The events
/// that have occurred are in `waiting` afterwards.
[[nodiscard]] WaitEnd await_events(std::span<pollfd> waiting, Nanoseconds deadline);

/// Throws Error(interrupted) if the descriptor `interrupt` is readable. Never blocks.
void throw_if_interrupted(int interrupt);

/// Whether this errno of a write means that the reader has closed its end. For the writer, this is
/// not an error.
[[nodiscard]] bool reader_has_left(int error) noexcept;

/// Writes all of `bytes`, and blocks until that is done. Returns 0 or the errno, which may be one
/// for which reader_has_left() is true.
[[nodiscard]] int write_all(int to, std::string_view bytes) noexcept;

/// Writes `bytes` to a FIFO or device that this process has opened with O_NONBLOCK; never blocks.
/// Returns 0 or the errno, EAGAIN if it is full. If there are more than PIPE_BUF bytes, a device,
/// or a FIFO with other writers, may get only a part of them. A regular file gets all of them.
[[nodiscard]] int try_write(int to, std::string_view bytes) noexcept;

/// Writes all of `bytes` at `offset`. Returns 0 or the errno.
[[nodiscard]] int write_all_at(int to, std::string_view bytes, uint64_t offset) noexcept;

/// Reads up to `size` bytes, and blocks until there is at least one. Returns the count, 0 at end of
/// file, or -1 with errno set.
[[nodiscard]] ssize_t read_some(int from, char* into, size_t size);

/// Reads up to `size` bytes at `offset` until end of file. Returns the count, or -1 with errno set.
[[nodiscard]] ssize_t read_all_at(int from, char* into, size_t size, uint64_t offset) noexcept;

/// Copies `length` bytes of the file `from`, starting at `offset`, to the current position of `to`,
/// and blocks until that is done. Others may write to `to` meanwhile. If possible the kernel copies
/// them: with splice into a pipe, and with sendfile into anything but a regular file. Up to
/// PIPE_BUF bytes are written into a pipe with one write(2), which does not block if poll(2)
/// reports POLLOUT. Returns 0 or the errno, which may be one for which reader_has_left() is true;
/// EIO if `from` is too short.
[[nodiscard]] int copy_range(int from, uint64_t offset, uint64_t length, int to) noexcept;

/// Copies `length` bytes between two regular files, with copy_file_range if possible. Does not
/// change the position of `to`. Returns 0 or the errno; EIO if `from` is too short.
[[nodiscard]] int copy_range_at(int from, uint64_t offset, uint64_t length, int to,
                                uint64_t to_offset) noexcept;

}  // namespace memolock
