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

// How long an address may be silent before the next one is tried beside it.
constexpr Nanoseconds head_start = std::chrono::milliseconds(150);
// How soon to knock again at a unix socket whose queue is full; the kernel has no event for it.
constexpr Nanoseconds next_knock = std::chrono::milliseconds(10);

[[noreturn]] void fail_with(int error) { throw store_error(lowercase_error_text(error)); }

Descriptor stream_socket(int family) {
  return Descriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// The attempts at connecting that are under way, side by side, while more addresses may come.
class HappyEyeballs {
 public:
  HappyEyeballs(const std::string& host, uint16_t port, ProgressTimeout& limit)
      : addresses_(host, port, limit.left()), limit_(limit) {}

  Descriptor run();

 private:
  void start_next();
  Descriptor winner(std::span<const pollfd> polled);
  [[nodiscard]] bool await(std::vector<pollfd>& polled);

  HostAddresses addresses_;
  ProgressTimeout& limit_;
  std::vector<Descriptor> runners_;
  Nanoseconds next_start_{0};  // boot clock
  bool has_address_ = false;
  int error_ = 0;  // of the last that fell out
};

/// Starts the next one, unless it fails at once.
void HappyEyeballs::start_next() {
  const SocketAddress address = addresses_.next();
  has_address_ = true;
  next_start_ = after(boot_now(), head_start);
  Descriptor runner = stream_socket(address.bytes.ss_family);
  const auto* const bytes = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (runner && (connect(runner.get(), bytes, address.size) == 0 || errno == EINPROGRESS)) {
    runners_.push_back(std::move(runner));
  } else {
    error_ = errno;
  }
}

/// The first that is connected; those that were refused fall out, and the next one need not wait.
Descriptor HappyEyeballs::winner(std::span<const pollfd> polled) {
  for (size_t i = runners_.size(); i-- > 0;) {
    if (polled[i].revents == 0) continue;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    Descriptor runner = std::move(runners_[i]);
    runners_.erase(runners_.begin() + static_cast<std::ptrdiff_t>(i));
    if (error == 0) return runner;
    error_ = error;
    next_start_ = Nanoseconds(0);
  }
  return {};
}

/// Until something has happened, or is to be done.
bool HappyEyeballs::await(std::vector<pollfd>& polled) {
  Nanoseconds wait = addresses_.wait();
  if (addresses_.has_next())
    wait = std::min(wait, std::max(next_start_ - boot_now(), Nanoseconds(0)));
  try {
    return limit_.await(polled, wait);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::store || limit_.left() > Nanoseconds(0)) throw;
    if (!has_address_) throw limit_.over("cannot resolve the name");
    if (runners_.empty()) fail_with(error_);
    throw;
  }
}

Descriptor HappyEyeballs::run() {
  for (;;) {
    while (addresses_.has_next() && (runners_.empty() || boot_now() >= next_start_)) start_next();
    if (runners_.empty() && addresses_.is_complete()) {
      if (!has_address_) throw store_error("cannot resolve the name");
      fail_with(error_);
    }
    std::vector<pollfd> polled;
    for (const Descriptor& runner : runners_)
      polled.push_back({.fd = runner.get(), .events = POLLOUT, .revents = 0});
    const std::vector<pollfd> asked = addresses_.watched();
    polled.insert(polled.end(), asked.begin(), asked.end());
    const size_t running = runners_.size();
    if (await(polled)) {
      if (Descriptor found = winner(std::span(polled).first(running))) return found;
    }
    addresses_.process(std::span(polled).subspan(running));
  }
}

}  // namespace

Descriptor dial_tcp(const std::string& host, uint16_t port, ProgressTimeout& limit) {
  Descriptor socket = HappyEyeballs(host, port, limit).run();
  // a request goes out whole, in one write
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
    (void)limit.await(nothing, next_knock);
  }
  return socket;
}

}  // namespace memolock
