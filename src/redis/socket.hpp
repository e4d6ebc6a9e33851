// Bytes to and from a Redis server: over TCP, TLS or a unix socket.
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

/// A connected stream. Every wait is bounded as of ProgressTimeout: connecting, and what is sent
/// and received from one begin_request() to the next. Every function but the simple queries throws
/// Error(store) "the store at HOST:PORT: …", or Error(interrupted). SIGPIPE must be blocked or
/// ignored: sendfile knows no MSG_NOSIGNAL.
class RedisSocket {
 public:
  /// Connects and negotiates TLS.
  RedisSocket(const RedisAddress& address, Nanoseconds timeout, const Cutoff& cutoff);

  /// A request is about to be sent, or a message that has begun to arrive to be received.
  void begin_request();
  /// As of ProgressTimeout.
  void expect_upload() { limit_.expect_upload(); }
  void expect_download() { limit_.expect_download(); }
  void begin_reply();
  void count_reply() { limit_.count_reply(); }
  void add_read(size_t bytes) { limit_.add_read(bytes); }

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
  void set_cutoff(const Cutoff& cutoff) { limit_.set_cutoff(cutoff); }
  /// As of ProgressTimeout.
  [[nodiscard]] bool was_large_transfer() const { return limit_.was_large_transfer(); }
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
  void discard_unsent();
  bool send_copies(int file, uint64_t offset, uint64_t size);

  ProgressTimeout limit_;
  std::string shown_;
  Descriptor socket_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace memolock
