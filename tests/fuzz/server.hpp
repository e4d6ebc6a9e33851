// A server that sends the given bytes to each client, whatever the client asks.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "src/redis/socket.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {

class Server {
 public:
  Server() : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{AF_UNIX, {}};
    address_.path = scratch() / "socket";
    address_.path.copy(name.sun_path, sizeof name.sun_path - 1);
    const auto* const any = reinterpret_cast<const sockaddr*>(&name);
    require(bind(listener_.get(), any, sizeof name) == 0 && listen(listener_.get(), 1) == 0,
            "a socket can be made");
  }

  /// A connection to the server after it has sent its bytes and closed its end.
  RedisSocket hear(std::string_view bytes) {
    RedisSocket client(address_, std::chrono::seconds(1), {});
    const Descriptor server(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    (void)!send(server.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return client;
  }

 private:
  Descriptor listener_;
  RedisAddress address_;
};

}  // namespace memolock::fuzz
