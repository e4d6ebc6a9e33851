// Bytes to and from a Redis server: over TCP, TLS or a unix socket.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/descriptor.hpp"
#include "src/patience.hpp"
#include "src/redis_address.hpp"
#include "src/tls.hpp"

namespace memolock {

/// A connected stream. Every wait is bounded by patience, which begins anew with each progress.
/// Every function but the simple queries throws Error(store) "the store at HOST:PORT: …", or
/// Error(interrupted). SIGPIPE must be blocked or ignored: sendfile knows no MSG_NOSIGNAL.
class RedisSocket {
 public:
  /// Connects and negotiates TLS.
  RedisSocket(const RedisAddress& address, Nanoseconds timeout, int interrupt);

  /// What follows a sent part: so that a command's front and its file leave together.
  enum class Then { nothing, more };

  /// Sends all of `bytes`, or `size` bytes of `file` from `offset`. False: the server takes no
  /// more; what it said before may still be received.
  [[nodiscard]] bool send(std::string_view bytes, Then then);
  [[nodiscard]] bool send_file(int file, uint64_t offset, uint64_t size);

  /// Receives 1 to `size` bytes. 0: the server has closed the connection.
  [[nodiscard]] size_t receive(char* into, size_t size);

  /// Whether bytes have been received from the kernel that `receive` has not handed out.
  [[nodiscard]] bool has_pending() const;
  /// Whether `receive` would hand out something now, if only the end; never waits.
  [[nodiscard]] bool is_readable();

  [[nodiscard]] int descriptor() const { return socket_.get(); }
  void set_interrupt(int interrupt) { patience_.set_interrupt(interrupt); }
  /// What is wrong, with the server's name before it.
  [[nodiscard]] std::string worded(std::string_view what) const;
  /// Throws Error(store) with that.
  [[noreturn]] void fail(std::string_view what) const;

 private:
  template <typename Action>
  auto named(Action action) -> decltype(action());
  template <typename Attempt>
  Step move(Attempt attempt);
  template <typename Attempt>
  Step put(Attempt attempt);
  bool has_input();
  bool send_copies(int file, uint64_t offset, uint64_t size);

  Patience patience_;
  std::string shown_;
  Descriptor socket_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace memolock
