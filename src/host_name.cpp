#include "src/host_name.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include <ares.h>

#include "src/error.hpp"

namespace memolock {
namespace {

template <typename Address>
SocketAddress socket_address(const Address& address) {
  SocketAddress made;
  std::memcpy(&made.bytes, &address, sizeof(address));
  made.size = sizeof(address);
  return made;
}

/// One look-up by c-ares, which asks us to watch its sockets and tells us when it is done.
class LookUp {
 public:
  explicit LookUp(Nanoseconds left);
  ~LookUp() { ares_destroy(channel_); }
  LookUp(const LookUp&) = delete;
  LookUp& operator=(const LookUp&) = delete;

  std::vector<SocketAddress> run(const std::string& host, TransferLimit& limit);

 private:
  static void watch(void* self, ares_socket_t fd, int readable, int writable);
  static void finish(void* self, int status, int timeouts, ares_addrinfo* found);
  void process(const std::vector<pollfd>& polled);

  ares_channel channel_ = nullptr;
  std::vector<pollfd> watched_;
  std::vector<SocketAddress> found_;
  bool done_ = false;
};

LookUp::LookUp(Nanoseconds left) {
  ares_options options{};
  options.sock_state_cb = watch;
  options.sock_state_cb_data = this;
  // A server that is down must leave time to ask the next one, or to ask again.
  const auto share = std::chrono::duration_cast<std::chrono::milliseconds>(left / 4).count();
  options.timeout = static_cast<int>(std::clamp<int64_t>(share, 50, 2000));
  if (ares_init_options(&channel_, &options, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS) !=
      ARES_SUCCESS)
    throw store_error("cannot resolve names");
}

void LookUp::watch(void* self, ares_socket_t fd, int readable, int writable) {
  auto& watched = static_cast<LookUp*>(self)->watched_;
  std::erase_if(watched, [&](const pollfd& one) { return one.fd == fd; });
  const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
  if (events != 0)
    watched.push_back({.fd = fd, .events = static_cast<short>(events), .revents = 0});
}

void LookUp::finish(void* self, int status, int /*timeouts*/, ares_addrinfo* found) {
  auto& look_up = *static_cast<LookUp*>(self);
  look_up.done_ = true;
  if (status != ARES_SUCCESS) return;
  for (const auto* node = found->nodes; node != nullptr; node = node->ai_next) {
    SocketAddress address;
    address.size = std::min<socklen_t>(node->ai_addrlen, sizeof(address.bytes));
    std::memcpy(&address.bytes, node->ai_addr, address.size);
    look_up.found_.push_back(address);
  }
  ares_freeaddrinfo(found);
}

/// Hands c-ares what came, or only the time when nothing did.
void LookUp::process(const std::vector<pollfd>& polled) {
  for (const pollfd& one : polled) {
    const auto fd_if = [&](int events) {
      return (one.revents & events) != 0 ? one.fd : ARES_SOCKET_BAD;
    };
    ares_process_fd(channel_, fd_if(POLLIN | POLLERR | POLLHUP), fd_if(POLLOUT));
  }
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

std::vector<SocketAddress> LookUp::run(const std::string& host, TransferLimit& limit) {
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_ENVHOSTS;
  // without a service, whose look-up would be the C library's
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, finish, this);
  while (!done_) {
    timeval next{};
    const bool given = ares_timeout(channel_, nullptr, &next) != nullptr;
    // a copy: c-ares changes the list while it is told
    std::vector<pollfd> polled = watched_;
    (void)limit.await(
        polled, given ? std::chrono::seconds(next.tv_sec) + std::chrono::microseconds(next.tv_usec)
                      : forever);
    process(polled);
  }
  return std::move(found_);
}

/// Writes a port into an address of either kind.
void set_port(SocketAddress& address, uint16_t port) {
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const in_port_t wire = htons(port);
  auto* const bytes = reinterpret_cast<char*>(&address.bytes);
  std::memcpy(bytes + offsetof(sockaddr_in, sin_port), &wire, sizeof(wire));
}

/// "1.2.3.4", "::1", "fe80::1%eth0".
std::optional<SocketAddress> ip_address(const std::string& host) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) return socket_address(v4);

  const size_t zone = host.find('%');
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (zone != std::string::npos) v6.sin6_scope_id = if_nametoindex(&host[zone + 1]);
  if (inet_pton(AF_INET6, host.substr(0, zone).c_str(), &v6.sin6_addr) == 1)
    return socket_address(v6);
  return std::nullopt;
}

/// This machine, whatever files and servers say (RFC 6761), in the order of Redis's own clients.
std::vector<SocketAddress> loopback() { return {*ip_address("127.0.0.1"), *ip_address("::1")}; }

std::vector<SocketAddress> look_up(const std::string& host, TransferLimit& limit) {
  if (host == "localhost") return loopback();
  try {
    return LookUp(limit.left()).run(host, limit);
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::store && limit.left() == Nanoseconds(0))
      throw limit.over("cannot resolve the name");
    throw;
  }
}

}  // namespace

bool is_ip_address(const std::string& host) { return ip_address(host).has_value(); }

std::vector<SocketAddress> addresses_of(const std::string& host, uint16_t port,
                                        TransferLimit& limit) {
  const auto address = ip_address(host);
  auto found = address ? std::vector{*address} : look_up(host, limit);
  if (found.empty()) throw store_error("cannot resolve the name");
  for (SocketAddress& one : found) set_port(one, port);
  return found;
}

}  // namespace memolock
