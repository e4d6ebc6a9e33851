// One connection to a Redis server: sends commands and receives replies.
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

/// One word of a command: bytes, which are copied when the command is queued and must stay valid
/// until then; or a part of an open file, which is read when it is sent and must stay open until
/// then.
struct RedisArgument {
  RedisArgument(std::string_view text) : bytes(text) {}
  RedisArgument(const std::string& text) : bytes(text) {}
  RedisArgument(std::string&&) = delete;  // it would not stay valid
  RedisArgument(const char* text) : bytes(text) {}
  [[nodiscard]] static RedisArgument of_file(int file, uint64_t offset, uint64_t size);

  std::string_view bytes;
  int file = -1;  ///< -1: `bytes`; otherwise `size` bytes of the file from `offset`
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// A connection to one server. Used by one thread. After an Error it can no longer be used:
/// commands and replies may be incomplete. Every member that sends or receives throws Error(store)
/// "the store at HOST:PORT: …", and Error(interrupted).
class RedisConnection {
 public:
  /// Connects and negotiates TLS. The login and the choice of the database are sent with the first
  /// command, and their replies are checked before the first reply, so they cost no round trip.
  /// `timeout` bounds connecting (name look-up, all addresses of the name, TLS and login together)
  /// and each request. For details, and for `wait_limit`, see ProgressTimeout.
  RedisConnection(const RedisAddress& address, Nanoseconds timeout, const WaitLimit& wait_limit);

  /// Adds a command to those that the next flush sends.
  void queue(std::span<const RedisArgument> command);
  void queue(std::initializer_list<RedisArgument> command) {
    queue(std::span(command.begin(), command.size()));
  }

  /// Sends all queued commands, in one write if they fit. This begins a request: all replies until
  /// the next flush share its timeout. If the server stops reading, this function does not fail:
  /// the next reply of the server says why.
  void flush();

  /// The next reply, or message of a subscription; flushes first. An error reply is returned, not
  /// thrown. Throws if the connection is lost, the timeout has passed, the login was refused, or
  /// the reply is malformed or too large.
  [[nodiscard]] RedisReply read_reply();
  /// To be called if the last reply was that of a command, not a message: its bytes are then
  /// counted as progress of the request.
  void count_reply_as_progress() { socket_->count_reply_as_progress(); }

  /// Whether part of a reply has been received, so that read_reply() would not wait for its first
  /// byte.
  [[nodiscard]] bool has_reply_buffered() const;

  /// Sleeps until part of a reply arrives, `interrupt` is readable or `deadline` (boot clock) has
  /// passed; flushes first. From then on, the rest of the reply has the timeout of a request.
  [[nodiscard]] WaitEnd await_reply(int interrupt, Nanoseconds deadline);

  /// See RedisReplyReader.
  void limit_large_strings(uint64_t bytes) { replies_.limit_large_strings(bytes); }

  [[nodiscard]] int descriptor() const { return socket_->descriptor(); }
  /// Replaces the wait limit.
  void set_wait_limit(const WaitLimit& wait_limit) { socket_->set_wait_limit(wait_limit); }
  /// Whether the last request transferred more than 64 KiB, and so may have taken longer than the
  /// timeout or the wait limit.
  [[nodiscard]] bool was_large_transfer() const { return socket_->was_large_transfer(); }

 private:
  struct Piece {  // to be sent: bytes, followed by a part of a file
    std::string bytes;
    int file = -1;
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  [[nodiscard]] static uint64_t size_of(std::span<const Piece> pieces);
  void log_in(const RedisAddress& address);
  void check_login();
  [[noreturn]] void throw_login_error(std::string error) const;

  std::unique_ptr<RedisSocket> socket_;
  RedisReplyReader replies_;
  std::vector<Piece> unsent_;
  int pending_logins_ = 0;  // login commands that have no reply yet
  size_t login_size_ = 0;   // bytes of the login commands, which precede the first request
  std::string password_;    // to be hidden in messages
};

}  // namespace memolock
