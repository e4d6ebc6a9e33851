// A server that says given bytes to whoever connects, whatever it is asked.
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

  /// A client of it, when the server has said its bytes and left.
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
