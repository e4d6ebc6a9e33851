// Resolves host names without the C library's resolver, which a static binary would have to load at
// run time.
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

/// An IPv4 or IPv6 address and a port, as connect(2) takes them.
struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// Whether `host` is an IP address rather than a name.
[[nodiscard]] bool is_ip_address(const std::string& host);

class DnsLookup;

/// Finds the addresses of a host, and provides each one as soon as it may be tried. Used by one
/// thread. An IP address and "localhost" need no look-up. Any other name is looked up in /etc/hosts
/// (or $CARES_HOSTS) and, if it is not there, in the DNS: IPv4 and IPv6 addresses are requested at
/// the same time, and if a name server is silent, the next one is also asked (RFC 8305).
///
/// While the caller needs more addresses and is_complete() is false, it polls poll_descriptors()
/// for at most poll_timeout(), and then calls process().
class HostAddresses {
 public:
  /// `limit`: how long the look-up may take in total. Throws Error(store), with a message worded to
  /// follow the server's name, if names cannot be looked up at all.
  HostAddresses(const std::string& host, uint16_t port, Nanoseconds limit);
  ~HostAddresses();
  HostAddresses(const HostAddresses&) = delete;
  HostAddresses& operator=(const HostAddresses&) = delete;

  /// Whether next() has an address.
  [[nodiscard]] bool has_next() const;
  /// The next address to try; IPv6 and IPv4 alternate. Requires has_next().
  [[nodiscard]] SocketAddress next();
  /// Whether no more addresses will arrive, or none that is worth waiting for once all known ones
  /// have failed.
  [[nodiscard]] bool is_complete() const;

  [[nodiscard]] std::vector<pollfd> poll_descriptors() const;
  [[nodiscard]] Nanoseconds poll_timeout() const;
  /// `polled`: what poll_descriptors() returned, with its events.
  void process(std::span<const pollfd> polled);

 private:
  uint16_t port_;
  std::deque<SocketAddress> known_;    // found without the DNS
  std::unique_ptr<DnsLookup> lookup_;  // the look-up in the DNS; null if it is not needed
};

}  // namespace memolock
