// Host names and the addresses behind them, without the resolver of the C library, which a static
// binary would have to load.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "src/transfer_limit.hpp"

namespace memolock {

/// An IPv4 or IPv6 address and a port, as connect wants them.
struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

/// Whether `host` is an address and no name.
[[nodiscard]] bool is_ip_address(const std::string& host);

/// The addresses of `host`, the one to try first at the front; never none. An address stands for
/// itself; a name is looked up in /etc/hosts ($CARES_HOSTS in its place) and the DNS. Throws
/// Error(store), worded to follow the server's name, when there are none or the time is over;
/// Error(interrupted).
[[nodiscard]] std::vector<SocketAddress> addresses_of(const std::string& host, uint16_t port,
                                                      TransferLimit& limit);

}  // namespace memolock
