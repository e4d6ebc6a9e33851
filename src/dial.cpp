#include "src/dial.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "src/error.hpp"
#include "src/host_name.hpp"

namespace memolock {
namespace {

// How long an address may be silent before the next one is tried beside it.
constexpr Nanoseconds head_start = std::chrono::milliseconds(150);
// How soon to knock again at a unix socket whose queue is full; the kernel has no event for it.
constexpr Nanoseconds next_knock = std::chrono::milliseconds(10);

[[noreturn]] void fail_with(int error) { throw store_error(error_in_sentence(error)); }

Descriptor stream_socket(int family) {
  return Descriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// The attempts at connecting that are under way, side by side.
class Race {
 public:
  explicit Race(std::vector<SocketAddress> addresses) : addresses_(std::move(addresses)) {}

  Descriptor run(TransferLimit& limit);

 private:
  void start_next();
  Descriptor winner(const std::vector<pollfd>& polled);

  std::vector<SocketAddress> addresses_;
  size_t started_ = 0;
  std::vector<Descriptor> runners_;
  int error_ = 0;  // of the last that fell out
};

/// Starts the next one, unless it fails at once.
void Race::start_next() {
  const SocketAddress& address = addresses_[started_++];
  Descriptor runner = stream_socket(address.bytes.ss_family);
  const auto* const bytes = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (runner && (connect(runner.get(), bytes, address.size) == 0 || errno == EINPROGRESS)) {
    runners_.push_back(std::move(runner));
  } else {
    error_ = errno;
  }
}

/// The first that is connected; those that were refused fall out.
Descriptor Race::winner(const std::vector<pollfd>& polled) {
  for (size_t i = runners_.size(); i-- > 0;) {
    if (polled[i].revents == 0) continue;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    Descriptor runner = std::move(runners_[i]);
    runners_.erase(runners_.begin() + static_cast<std::ptrdiff_t>(i));
    if (error == 0) return runner;
    error_ = error;
  }
  return {};
}

Descriptor Race::run(TransferLimit& limit) {
  for (;;) {
    while (started_ < addresses_.size() && runners_.empty()) start_next();
    if (runners_.empty()) fail_with(error_);
    std::vector<pollfd> polled;
    for (const Descriptor& runner : runners_)
      polled.push_back({.fd = runner.get(), .events = POLLOUT, .revents = 0});
    const bool more = started_ < addresses_.size();
    if (limit.await(polled, more ? head_start : forever)) {
      if (Descriptor found = winner(polled)) return found;
    }
    if (more) start_next();
  }
}

}  // namespace

Descriptor dial_tcp(const std::string& host, uint16_t port, TransferLimit& limit) {
  Descriptor socket = Race(addresses_of(host, port, limit)).run(limit);
  // a request goes out whole, in one write
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

Descriptor dial_unix(const std::string& path, TransferLimit& limit) {
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
