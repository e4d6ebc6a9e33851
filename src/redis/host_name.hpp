// Host names and the addresses behind them, without the resolver of the C library, which a static
// binary would have to load.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/system/clock.hpp"

namespace memolock {

/// An IPv4 or IPv6 address and a port, as connect wants them.
struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// Whether `host` is an address and no name.
[[nodiscard]] bool is_ip_address(const std::string& host);

class LookUp;

/// The addresses of a host, each as soon as it may be tried. An address stands for itself; a name
/// is looked up in /etc/hosts ($CARES_HOSTS in its place) and the DNS, where IPv4 and IPv6 are
/// asked for at once and a name server that is silent is not waited for alone (RFC 8305).
///
/// Whoever uses it polls watched() for wait() at most, and calls process() then, as long as
/// addresses are wanted and not is_complete().
class HostAddresses {
 public:
  /// `limit`: how long all of it may take. Throws Error(store), worded to follow the server's name,
  /// when there is no way to look names up.
  HostAddresses(const std::string& host, uint16_t port, Nanoseconds limit);
  ~HostAddresses();
  HostAddresses(const HostAddresses&) = delete;
  HostAddresses& operator=(const HostAddresses&) = delete;

  /// Whether next() has one.
  [[nodiscard]] bool has_next() const;
  /// The next one to try; IPv6 and IPv4 take turns.
  [[nodiscard]] SocketAddress next();
  /// Whether no more than those that next() has will come, or are worth waiting for when all that
  /// came have failed.
  [[nodiscard]] bool is_complete() const;

  [[nodiscard]] std::vector<pollfd> watched() const;
  [[nodiscard]] Nanoseconds wait() const;
  /// `polled`: what watched() returned, with its events.
  void process(std::span<const pollfd> polled);

 private:
  uint16_t port_;
  std::deque<SocketAddress> known_;  // without the DNS
  std::unique_ptr<LookUp> look_up_;  // in the DNS; none: there is nothing to ask it
};

}  // namespace memolock
