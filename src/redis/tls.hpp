// TLS over a connected socket.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "src/redis/address.hpp"

struct ssl_st;

namespace memolock {

/// What one attempt at moving bytes over a non-blocking stream came to.
struct Step {
  enum class End {
    moved,         ///< so many bytes, at least one
    closed,        ///< the peer takes or sends no more
    wants_input,   ///< nothing: wait until the socket is readable
    wants_output,  ///< nothing: wait until it is writable
  };
  End end = End::moved;
  size_t bytes = 0;
};

/// The client's side of one TLS session, 1.2 or later. The server's certificate must be valid, for
/// its name too; there is no way to turn that off.
class Tls {
 public:
  /// For a non-blocking `socket`, which stays the caller's and must outlive this. `host`: what the
  /// certificate must be for, unless the settings name it. Throws Error(store), as all that
  /// follows, worded to follow the server's name.
  Tls(int socket, const RedisTls& settings, const std::string& host);

  /// Until it says `moved`.
  [[nodiscard]] Step handshake();
  /// As recv and send.
  [[nodiscard]] Step read(char* into, size_t size);
  [[nodiscard]] Step write(std::string_view bytes);
  /// As read, but leaves the bytes.
  [[nodiscard]] Step peek();
  /// Whether read would hand out bytes without looking at the socket.
  [[nodiscard]] bool has_pending() const;

 private:
  struct Free {
    void operator()(ssl_st* session) const;
  };
  std::unique_ptr<ssl_st, Free> session_;
};

}  // namespace memolock
