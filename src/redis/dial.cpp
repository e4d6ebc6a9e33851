#include "src/redis/dial.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "src/redis/host_name.hpp"
#include "src/system/clock.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

// How long an address may be silent before the next one is also tried.
constexpr Nanoseconds attempt_delay = std::chrono::milliseconds(150);
// The pause before retrying a unix socket whose queue is full, for which the kernel reports no
// event.
constexpr Nanoseconds queue_retry_pause = std::chrono::milliseconds(10);

[[noreturn]] void fail_with(int error) { throw store_error(lowercase_error_text(error)); }

Descriptor stream_socket(int family) {
  return Descriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// Attempts to connect to the addresses of a host in parallel ("Happy Eyeballs"), while more
/// addresses may arrive from the name servers.
class TcpDialer {
 public:
  TcpDialer(const std::string& host, uint16_t port, ProgressTimeout& limit)
      : addresses_(host, port, limit.left()), limit_(limit) {}

  Descriptor run();

 private:
  void start_next();
  Descriptor take_connected(std::span<const pollfd> polled);
  [[nodiscard]] bool await(std::vector<pollfd>& polled);

  HostAddresses addresses_;
  ProgressTimeout& limit_;
  std::vector<Descriptor> attempts_;
  Nanoseconds next_start_{0};  // boot clock
  bool has_address_ = false;
  int error_ = 0;  // of the last failed attempt
};

/// Starts the next attempt, unless it fails immediately.
void TcpDialer::start_next() {
  const SocketAddress address = addresses_.next();
  has_address_ = true;
  next_start_ = after(boot_now(), attempt_delay);
  Descriptor attempt = stream_socket(address.bytes.ss_family);
  const auto* const bytes = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (attempt && (connect(attempt.get(), bytes, address.size) == 0 || errno == EINPROGRESS)) {
    attempts_.push_back(std::move(attempt));
  } else {
    error_ = errno;
  }
}

/// The socket of an attempt that has connected; empty if there is none. Removes the failed
/// attempts, after which the next one may start immediately.
Descriptor TcpDialer::take_connected(std::span<const pollfd> polled) {
  for (size_t i = attempts_.size(); i-- > 0;) {
    if (polled[i].revents == 0) continue;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    Descriptor attempt = std::move(attempts_[i]);
    attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(i));
    if (error == 0) return attempt;
    error_ = error;
    next_start_ = Nanoseconds(0);
  }
  return {};
}

/// Waits for an event, or until it is time to start the next attempt.
bool TcpDialer::await(std::vector<pollfd>& polled) {
  Nanoseconds wait = addresses_.poll_timeout();
  if (addresses_.has_next())
    wait = std::min(wait, std::max(next_start_ - boot_now(), Nanoseconds(0)));
  try {
    return limit_.await(polled, wait);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store || limit_.left() > Nanoseconds(0)) throw;
    if (!has_address_) throw limit_.timeout_error("cannot resolve the host name");
    if (attempts_.empty()) fail_with(error_);
    throw;
  }
}

Descriptor TcpDialer::run() {
  for (;;) {
    while (addresses_.has_next() && (attempts_.empty() || boot_now() >= next_start_)) start_next();
    if (attempts_.empty() && addresses_.is_complete()) {
      if (!has_address_) throw store_error("cannot resolve the host name");
      fail_with(error_);
    }
    std::vector<pollfd> polled;
    for (const Descriptor& attempt : attempts_)
      polled.push_back({.fd = attempt.get(), .events = POLLOUT, .revents = 0});
    const std::vector<pollfd> asked = addresses_.poll_descriptors();
    polled.insert(polled.end(), asked.begin(), asked.end());
    const size_t running = attempts_.size();
    if (await(polled)) {
      if (Descriptor found = take_connected(std::span(polled).first(running))) return found;
    }
    addresses_.process(std::span(polled).subspan(running));
  }
}

}  // namespace

Descriptor dial_tcp(const std::string& host, uint16_t port, ProgressTimeout& limit) {
  Descriptor socket = TcpDialer(host, port, limit).run();
  // A request is sent in one write, so delaying small packets would gain nothing.
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

Descriptor dial_unix(const std::string& path, ProgressTimeout& limit) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) fail_with(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor socket = stream_socket(AF_UNIX);
  if (!socket) fail_with(errno);
  while (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EAGAIN) fail_with(errno);
    std::vector<pollfd> nothing;
    (void)limit.await(nothing, queue_retry_pause);
  }
  return socket;
}

}  // namespace memolock
