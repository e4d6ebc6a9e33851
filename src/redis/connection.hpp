// One connection to a Redis server: commands out, RESP2 replies in.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/redis/address.hpp"
#include "src/redis/reply.hpp"
#include "src/redis/socket.hpp"
#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// One word of a command: bytes at hand, which must stay until they are copied when it is queued;
/// or a part of an open file, which is read when it is sent and must stay open until then.
struct RedisArgument {
  RedisArgument(std::string_view text) : bytes(text) {}
  RedisArgument(const std::string& text) : bytes(text) {}
  RedisArgument(std::string&&) = delete;  // no copy is made of it
  RedisArgument(const char* text) : bytes(text) {}
  [[nodiscard]] static RedisArgument of_file(int file, uint64_t offset, uint64_t size);

  std::string_view bytes;
  int file = -1;  ///< -1: the bytes; else `size` bytes of it from `offset`
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// Used by one thread. After an Error the connection is of no more use: replies and commands may be
/// cut in their middle.
class RedisConnection {
 public:
  /// Connects and negotiates TLS. Login and database are sent with the first command and checked
  /// with the first reply, so they cost no round trip. `timeout` bounds connecting (name look-up,
  /// all addresses of the name, TLS and login together) and each request; see ProgressTimeout, also
  /// for `cutoff`. Throws Error(store) "the store at HOST:PORT: …", as all that follows.
  RedisConnection(const RedisAddress& address, Nanoseconds timeout, const Cutoff& cutoff);

  /// Adds a command to what the next flush sends.
  void queue(std::span<const RedisArgument> command);
  void queue(std::initializer_list<RedisArgument> command) {
    queue(std::span(command.begin(), command.size()));
  }

  /// Sends all that is queued, in one write where it fits: a request begins, and all replies until
  /// the next one share its time. A server that stops taking it is not an error here: the next
  /// reply says why.
  void flush();

  /// The next reply, messages of subscriptions included; flushes first. What the server calls an
  /// error is returned. Error(store) when the connection is lost, its time is over, the login was
  /// refused, or the reply is malformed or too large.
  [[nodiscard]] RedisReply read_reply();
  /// The last reply was one that was asked for, and not one of any number of messages: a request
  /// that such replies make longer than 64 KiB has more time.
  void count_reply() { socket_->count_reply(); }

  /// Whether bytes are at hand, so that read_reply would not, at first, wait for the server.
  [[nodiscard]] bool has_reply_buffered() const;

  /// Sleeps until read_reply would find something, `interrupt` is readable or `deadline` (boot
  /// clock) has passed; flushes first. What it finds has the time of an answer to come in full.
  [[nodiscard]] Ready await_reply(int interrupt, Nanoseconds deadline);

  /// As of RedisReplyReader.
  void limit_strings(uint64_t bytes) { replies_.limit_strings(bytes); }

  [[nodiscard]] int descriptor() const { return socket_->descriptor(); }
  /// What ends waits from now on.
  void set_cutoff(const Cutoff& cutoff) { socket_->set_cutoff(cutoff); }
  /// Whether the last request may have taken longer than the timeout, or than the cutoff allowed.
  [[nodiscard]] bool was_large_transfer() const { return socket_->was_large_transfer(); }

 private:
  struct Piece {  // of what is to be sent: bytes, and a part of a file behind them
    std::string bytes;
    int file = -1;
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  [[nodiscard]] static uint64_t size_of(std::span<const Piece> pieces);
  void log_in(const RedisAddress& address);
  void check_login();

  std::unique_ptr<RedisSocket> socket_;
  RedisReplyReader replies_;
  std::vector<Piece> unsent_;
  int logins_ = 0;         // how many commands of the login have not been answered
  size_t login_size_ = 0;  // their bytes, in front of what is sent first
  std::string password_;   // so that no message shows it
};

}  // namespace memolock
