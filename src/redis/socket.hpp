// A stream of bytes to and from a Redis server: over TCP, TLS or a unix socket.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/redis/address.hpp"
#include "src/redis/progress_timeout.hpp"
#include "src/redis/tls.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// A connected stream. Used by one thread. Every wait is bounded as ProgressTimeout says:
/// connecting, and everything from one begin_request() to the next. Every function that waits,
/// sends or receives throws Error(store) "the store at HOST:PORT: …", or Error(interrupted).
/// Requires that SIGPIPE is blocked or ignored, because sendfile(2) has no MSG_NOSIGNAL.
class RedisSocket {
 public:
  /// Connects and negotiates TLS.
  RedisSocket(const RedisAddress& address, Nanoseconds timeout, const WaitLimit& wait_limit);

  /// To be called before a request is sent, and before a message that has begun to arrive is
  /// received.
  void begin_request();
  /// See ProgressTimeout.
  void expect_upload() { limit_.expect_upload(); }
  void expect_download() { limit_.expect_download(); }
  void begin_reply();
  void count_reply_as_progress() { limit_.count_reply_as_progress(); }
  void add_read(size_t bytes) { limit_.add_read(bytes); }

  /// Whether more bytes will follow. `yes` allows a command and the file in it to share a packet.
  enum class MoreToCome { no, yes };

  /// Sends all of `bytes`, or `size` bytes of `file` from `offset`. Returns false if the server has
  /// stopped reading; data that it sent before that can still be received.
  [[nodiscard]] bool send(std::string_view bytes, MoreToCome more);
  [[nodiscard]] bool send_file(int file, uint64_t offset, uint64_t size);

  /// Receives 1 to `size` bytes. Returns 0 if the server has closed the connection.
  [[nodiscard]] size_t receive(char* into, size_t size);

  /// Whether receive() would return bytes without reading from the socket.
  [[nodiscard]] bool has_pending() const;
  /// Whether receive() would return immediately, even if only with the end of the stream. Does not
  /// wait.
  [[nodiscard]] bool is_readable();

  [[nodiscard]] int descriptor() const { return socket_.get(); }
  void set_wait_limit(const WaitLimit& wait_limit) { limit_.set_wait_limit(wait_limit); }
  /// See ProgressTimeout.
  [[nodiscard]] bool was_large_transfer() const { return limit_.was_large_transfer(); }
  /// "the store at HOST:PORT: WHAT".
  [[nodiscard]] std::string error_message(std::string_view what) const;
  /// Throws Error(store) with error_message(what).
  [[noreturn]] void fail(std::string_view what) const;

 private:
  template <typename Action>
  auto with_server_name(Action action) -> decltype(action());
  template <typename Attempt>
  IoResult transfer(Attempt attempt);
  template <typename Attempt>
  IoResult transfer_out(Attempt attempt);
  bool has_input();
  void discard_unsent();
  bool send_copies(int file, uint64_t offset, uint64_t size);

  ProgressTimeout limit_;
  std::string shown_;
  Descriptor socket_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace memolock
