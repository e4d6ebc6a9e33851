#include "src/system/message.hpp"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>

#include "src/system/descriptor.hpp"
#include "src/system/retry_syscall.hpp"
#include "src/system/signals.hpp"

namespace memolock {
namespace {

std::atomic<bool> message_dropped = false;

/// Waits until stderr is writable. Returns false if a signal of interruption comes first.
bool await_stderr() noexcept {
  constexpr std::chrono::milliseconds step{100};
  for (;;) {
    std::array<pollfd, 1> waiting{{{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0}}};
    const int ready = poll_for(waiting, step);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    if (is_interrupted()) return false;
  }
}

}  // namespace

void write_message(std::string_view text) noexcept {
  // A pipe that is writable accepts this much without blocking.
  constexpr size_t step = PIPE_BUF;
  while (!text.empty()) {
    if (!await_stderr()) {
      message_dropped = true;
      return;
    }
    const ssize_t written = retry_syscall(
        [&] { return write(STDERR_FILENO, text.data(), std::min(text.size(), step)); });
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EAGAIN && errno != EINTR) {
      return;
    }
  }
}

bool is_message_dropped() noexcept { return message_dropped; }

}  // namespace memolock
