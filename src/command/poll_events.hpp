// The events that poll(2) is to wait for. A descriptor of -1 is ignored.
#pragma once

#include <poll.h>

namespace memolock {

inline pollfd readable(int fd) noexcept { return {.fd = fd, .events = POLLIN, .revents = 0}; }
inline pollfd writable(int fd) noexcept { return {.fd = fd, .events = POLLOUT, .revents = 0}; }

}  // namespace memolock
