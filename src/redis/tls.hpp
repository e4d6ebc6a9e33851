// TLS over a connected socket.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "src/redis/address.hpp"

struct ssl_st;

namespace memolock {

/// The result of one attempt to read or write on a non-blocking stream.
struct IoResult {
  enum class Status {
    moved,         ///< `bytes` bytes, at least one
    closed,        ///< the peer has stopped reading or sending
    wants_input,   ///< no bytes: wait until the socket is readable
    wants_output,  ///< no bytes: wait until it is writable
  };
  Status status = Status::moved;
  size_t bytes = 0;
};

/// The client's side of one TLS session, 1.2 or later. Used by one thread. The server's certificate
/// must be valid and match its name; this check cannot be turned off. Every member that returns an
/// IoResult, and the constructor, throws Error(store) with a message worded to follow the server's
/// name.
class Tls {
 public:
  /// `socket`: non-blocking; belongs to the caller and must outlive this object. `host`: the name
  /// or address that the certificate must have, unless the settings name another one.
  Tls(int socket, const RedisTls& settings, const std::string& host);

  /// To be called until it returns `moved`, before the functions below.
  [[nodiscard]] IoResult handshake();
  /// Like recv(2) and send(2).
  [[nodiscard]] IoResult read(char* into, size_t size);
  [[nodiscard]] IoResult write(std::string_view bytes);
  /// Like read(), but does not consume the bytes.
  [[nodiscard]] IoResult peek();
  /// Whether read() would return bytes without reading from the socket.
  [[nodiscard]] bool has_pending() const;

 private:
  struct Free {
    void operator()(ssl_st* session) const;
  };
  std::unique_ptr<ssl_st, Free> session_;
};

}  // namespace memolock
