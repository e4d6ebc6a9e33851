#include "src/system/descriptor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <new>

#include "src/system/error.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

// The maximum number of bytes that one call copies, so that a signal, or a reader that closes its
// end, is noticed in time.
constexpr uint64_t largest_step = 16U << 20;

/// Waits until a descriptor that another process has set to O_NONBLOCK accepts more. The flag must
/// not be changed, because it is shared with that process.
void await_writable(int fd) noexcept {
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  if (poll(&waiting, 1, -1) < 0) pause_briefly();
}

/// Whether to try a failed transfer again in the same way. If it failed because `to` was full,
/// waits first.
bool again(int error, int to) noexcept {
  if (error == EAGAIN) await_writable(to);
  return error == EINTR || error == EAGAIN;
}

/// Whether this errno means that the kernel cannot copy between these files in this way, or not
/// now.
bool not_for_these(int error) noexcept {
  return error == EINVAL || error == EXDEV || error == EBADF || error == ENOSYS ||
         error == EOPNOTSUPP || error == ESPIPE || error == EPERM || error == ETXTBSY ||
         error == ENOMEM || error == EIO;
}

/// Calls write(2), which blocks or fails with EAGAIN, and tries again if the kernel is out of
/// memory.
ssize_t write_some(int to, std::string_view bytes) noexcept {
  constexpr int most = 10;
  for (int tries = 1;; ++tries) {
    const ssize_t put = write(to, bytes.data(), bytes.size());
    if (put >= 0 || (errno != ENOMEM && errno != EIO) || tries == most) return put;
    pause_briefly();
  }
}

/// Copies through a buffer, calling `write` with each piece. The buffer is on the stack, and small
/// because the stack may be small, unless much is to be copied and there is memory for a larger
/// one.
template <typename Write>
int copy_by_hand(int from, uint64_t offset, uint64_t length, const Write& write) noexcept {
  constexpr size_t large_size = 256U << 10;
  std::array<char, 16U << 10> small;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  std::unique_ptr<char[]> large;
  if (length >= large_size) large.reset(new (std::nothrow) char[large_size]);
  char* const buffer = large ? large.get() : small.data();
  const size_t size = large ? large_size : small.size();
  while (length > 0) {
    const size_t step = std::min<uint64_t>(size, length);
    const ssize_t got = retry_syscall([&] { return read_all_at(from, buffer, step, offset); });
    if (got < 0) return errno;
    if (got == 0) return EIO;
    if (const int error = write(std::string_view(buffer, static_cast<size_t>(got)))) return error;
    offset += static_cast<uint64_t>(got);
    length -= static_cast<uint64_t>(got);
  }
  return 0;
}

/// Whether a pipe accepts `size` bytes now; true for anything else. The kernel does not report how
/// many of the pipe's pages are in use, only how many bytes are in them. Any two adjacent pages
/// contain more than one page of bytes, unless the first one was partly read.
bool has_room(int pipe, size_t size) noexcept {
  const int capacity = fcntl(pipe, F_GETPIPE_SZ);
  if (capacity < 0) return true;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto held = static_cast<size_t>(bytes_available(pipe));
  const size_t used = held == 0 ? 0 : 2 * (held / page) + 2;
  return used + (size + page - 1) / page <= static_cast<size_t>(capacity) / page;
}

enum class Way { splice, write, sendfile };

/// A regular file is written to with write(2) only: other threads and processes may write to the
/// same open file, and only write(2) prevents that two of them use the same offset.
Way way_to(int to) noexcept {
  struct stat info {};
  if (fstat(to, &info) != 0) return Way::write;
  if (S_ISFIFO(info.st_mode)) return Way::splice;
  return S_ISREG(info.st_mode) ? Way::write : Way::sendfile;
}

ssize_t move_step(Way way, int from, off64_t& offset, uint64_t length, int to) noexcept {
  const size_t step = std::min(length, largest_step);
  return way == Way::splice ? splice(from, &offset, to, nullptr, step, SPLICE_F_MORE)
                            : sendfile64(to, from, &offset, step);
}

}  // namespace

void Descriptor::reset(int fd) noexcept {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error("cannot create a pipe", errno);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

int bytes_available(int pipe) noexcept {
  int count = 0;
  return ioctl(pipe, FIONREAD, &count) == 0 ? count : 0;
}

WaitEnd await_readable(int fd, int interrupt, Nanoseconds deadline) {
  std::array<pollfd, 2> waiting{{{.fd = fd, .events = POLLIN, .revents = 0},
                                 {.fd = interrupt, .events = POLLIN, .revents = 0}}};
  return await_events(waiting, deadline);
}

int poll_for(std::span<pollfd> waiting, Nanoseconds length) noexcept {
  timespec limit{};
  if (length != forever) {
    const Nanoseconds left = std::max(length, Nanoseconds(0));
    limit.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
    limit.tv_nsec = (left % std::chrono::seconds(1)).count();
  }
  const timespec* const most = length == forever ? nullptr : &limit;
  return ppoll(waiting.data(), waiting.size(), most, nullptr);
}

WaitEnd await_events(std::span<pollfd> waiting, Nanoseconds deadline) {
  constexpr int most = 10;
  for (int failures = 0;;) {
    const int ready = poll_for(waiting, deadline == forever ? forever : deadline - boot_now());
    const bool only_interrupt = ready == 1 && waiting.back().revents != 0;
    if (ready > 0) return only_interrupt ? WaitEnd::interrupted : WaitEnd::readable;
    if (ready == 0) return WaitEnd::timed_out;
    if (errno == EINTR) continue;
    if (!is_transient(errno) || ++failures == most) throw system_error("cannot wait", errno);
    pause_briefly();
  }
}

void throw_if_interrupted(int interrupt) {
  if (await_readable(-1, interrupt, boot_now()) == WaitEnd::interrupted) throw interrupted_error();
}

bool reader_has_left(int error) noexcept { return error == EPIPE || error == ECONNRESET; }

int write_all(int to, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t put = write_some(to, bytes);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
    } else if (!again(errno, to)) {
      return errno;
    }
  }
  return 0;
}

int try_write(int to, std::string_view bytes) noexcept {
  if (bytes.size() > PIPE_BUF && !has_room(to, bytes.size())) return EAGAIN;
  while (!bytes.empty()) {
    const ssize_t put = write(to, bytes.data(), bytes.size());
    if (put >= 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int write_all_at(int to, std::string_view bytes, uint64_t offset) noexcept {
  while (!bytes.empty()) {
    const ssize_t put = pwrite(to, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put >= 0) {
      bytes.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

ssize_t read_some(int from, char* into, size_t size) {
  for (;;) {
    const ssize_t got = read(from, into, size);
    if (got >= 0 || (errno != EINTR && errno != EAGAIN)) return got;
    if (errno == EAGAIN) (void)await_readable(from, -1, forever);
  }
}

ssize_t read_all_at(int from, char* into, size_t size, uint64_t offset) noexcept {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(from, into + done, size - done, static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return static_cast<ssize_t>(done);
}

int copy_range(int from, uint64_t offset, uint64_t length, int to) noexcept {
  const auto copy_rest = [&] {
    return copy_by_hand(from, offset, length,
                        [&](std::string_view bytes) { return write_all(to, bytes); });
  };
  const Way way = way_to(to);
  // A splice takes a slot of the pipe for each page of the file; a write of this size takes only
  // one.
  if (way == Way::write || (way == Way::splice && length <= PIPE_BUF)) return copy_rest();
  auto position = static_cast<off64_t>(offset);
  while (length > 0) {
    const ssize_t moved = move_step(way, from, position, length, to);
    if (moved > 0) {
      offset = static_cast<uint64_t>(position);
      length -= static_cast<uint64_t>(moved);
    } else if (moved == 0 || not_for_these(errno)) {
      return copy_rest();
    } else if (!again(errno, to)) {
      return errno;
    }
  }
  return 0;
}

int copy_range_at(int from, uint64_t offset, uint64_t length, int to, uint64_t to_offset) noexcept {
  auto source = static_cast<off64_t>(offset);
  auto target = static_cast<off64_t>(to_offset);
  while (length > 0) {
    const size_t step = std::min(length, largest_step);
    const ssize_t moved = copy_file_range(from, &source, to, &target, step, 0);
    if (moved > 0) {
      length -= static_cast<uint64_t>(moved);
    } else if (moved == 0 || not_for_these(errno)) {
      auto at = static_cast<uint64_t>(target);
      return copy_by_hand(from, static_cast<uint64_t>(source), length, [&](std::string_view bytes) {
        const int error = write_all_at(to, bytes, at);
        at += bytes.size();
        return error;
      });
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace memolock
