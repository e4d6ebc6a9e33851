// Resolving host names, without the resolver of the C library, which a static binary would have to
// load.
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

/// An IPv4 or IPv6 address and a port, as connect takes them.
struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// Whether `host` is an IP address rather than a name.
[[nodiscard]] bool is_ip_address(const std::string& host);

class DnsLookup;

/// The addresses of a host, each as soon as it may be tried. Used by one thread. An IP address
/// needs no look-up. A name is looked up in /etc/hosts (or $CARES_HOSTS) and the DNS: IPv4 and IPv6
/// addresses are asked for at the same time, and when a name server is silent, the next one is
/// asked, too (RFC 8305).
///
/// As long as it needs more addresses and is_complete() is false, the caller polls
/// poll_descriptors() for at most poll_timeout(), and then calls process().
class HostAddresses {
 public:
  /// `limit`: how long the look-up may take in all. Throws Error(store), with a message to follow
  /// the server's name, when names cannot be looked up at all.
  HostAddresses(const std::string& host, uint16_t port, Nanoseconds limit);
  ~HostAddresses();
  HostAddresses(const HostAddresses&) = delete;
  HostAddresses& operator=(const HostAddresses&) = delete;

  /// Whether next() has an address.
  [[nodiscard]] bool has_next() const;
  /// The next address to try; IPv6 and IPv4 alternate. Requires has_next().
  [[nodiscard]] SocketAddress next();
  /// Whether no more addresses will come, or none that are worth waiting for if all so far have
  /// failed.
  [[nodiscard]] bool is_complete() const;

  [[nodiscard]] std::vector<pollfd> poll_descriptors() const;
  [[nodiscard]] Nanoseconds poll_timeout() const;
  /// `polled`: what poll_descriptors() returned, with its events.
  void process(std::span<const pollfd> polled);

 private:
  uint16_t port_;
  std::deque<SocketAddress> known_;    // without the DNS
  std::unique_ptr<DnsLookup> lookup_;  // in the DNS; null when it is not needed
};

}  // namespace memolock
