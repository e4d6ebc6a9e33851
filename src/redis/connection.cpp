#include "src/redis/connection.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "src/redis/server_error.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

bool is_of_file(const RedisArgument& argument) { return argument.file >= 0; }

}  // namespace

RedisArgument RedisArgument::of_file(int file, uint64_t offset, uint64_t size) {
  RedisArgument argument("");
  argument.file = file;
  argument.offset = offset;
  argument.size = size;
  return argument;
}

RedisConnection::RedisConnection(const RedisAddress& address, Nanoseconds timeout,
                                 const WaitLimit& wait_limit)
    : socket_(std::make_unique<RedisSocket>(address, timeout, wait_limit)),
      replies_(*socket_),
      password_(address.password) {
  log_in(address);
}

// ---- sending ----

void RedisConnection::queue(std::span<const RedisArgument> command) {
  if (unsent_.empty()) unsent_.emplace_back();
  unsent_.back().bytes += fmt::format("*{}\r\n", command.size());
  for (const RedisArgument& argument : command) {
    const uint64_t size = is_of_file(argument) ? argument.size : argument.bytes.size();
    unsent_.back().bytes += fmt::format("${}\r\n", size);
    if (is_of_file(argument)) {
      Piece& piece = unsent_.back();
      piece.file = argument.file;
      piece.offset = argument.offset;
      piece.size = argument.size;
      unsent_.emplace_back();
    }
    unsent_.back().bytes += argument.bytes;
    unsent_.back().bytes += "\r\n";
  }
}

uint64_t RedisConnection::size_of(std::span<const Piece> pieces) {
  uint64_t size = 0;
  for (const Piece& piece : pieces) size += piece.bytes.size() + piece.size;
  return size;
}

void RedisConnection::flush() {
  auto pieces = std::exchange(unsent_, {});
  if (pieces.empty()) return;
  const bool is_large = size_of(pieces) > 64U << 10;
  if (pending_logins_ > 0 && is_large) {
    // The login is sent first: the request begins only when the reply to the login has arrived, and
    // the rate of a transfer that is already in progress then could not be measured.
    std::string& front = pieces.front().bytes;
    if (!socket_->send(front.substr(0, login_size_), RedisSocket::MoreToCome::no)) return;
    front.erase(0, login_size_);
    check_login();
  }
  // The login is part of connecting: a request that is sent with it begins when the reply to the
  // login has arrived.
  if (pending_logins_ == 0) socket_->begin_request();
  if (is_large) socket_->expect_upload();
  for (const Piece& piece : pieces) {
    const bool more = piece.file >= 0;
    if (!socket_->send(piece.bytes,
                       more ? RedisSocket::MoreToCome::yes : RedisSocket::MoreToCome::no))
      return;
    if (more && !socket_->send_file(piece.file, piece.offset, piece.size)) return;
  }
}

// ---- logging in ----

void RedisConnection::log_in(const RedisAddress& address) {
  if (!address.user.empty()) {
    queue({"AUTH", address.user, address.password});
  } else if (!address.password.empty()) {
    queue({"AUTH", address.password});
  }
  if (!unsent_.empty()) ++pending_logins_;
  if (address.database != 0) {
    const std::string database = std::to_string(address.database);
    queue({"SELECT", database});
    ++pending_logins_;
  }
  if (pending_logins_ > 0) login_size_ = unsent_.front().bytes.size();
}

void RedisConnection::check_login() {
  if (pending_logins_ == 0) return;
  for (; pending_logins_ > 0; --pending_logins_) {
    const RedisReply reply = replies_.next();
    if (reply.type() == RedisReply::Type::status) continue;
    if (!reply.is_error()) socket_->fail(mismatch_message);
    throw_login_error(*reply.error());
  }
  socket_->begin_request();
}

/// Hides the password in `error`: a server that does not know AUTH quotes its arguments.
void RedisConnection::throw_login_error(std::string error) const {
  error.resize(std::min(error.find(", with args"), error.size()));
  const std::string shown = escape_controls(password_);
  for (size_t at = 0; !shown.empty();) {
    at = error.find(shown, at);
    if (at == std::string::npos) break;
    error.replace(at, shown.size(), "***");
    at += 3;
  }
  if (has_too_many_clients(error)) socket_->fail(error);
  const bool is_busy = error_reason(error) == ServerError::Reason::busy;
  throw ServerError(is_busy ? ServerError::Reason::busy : ServerError::Reason::login_refused,
                    socket_->error_message(error));
}

// ---- receiving ----

RedisReply RedisConnection::read_reply() {
  flush();
  check_login();
  return replies_.next();
}

bool RedisConnection::has_reply_buffered() const {
  return replies_.has_begun() || socket_->has_pending();
}

WaitEnd RedisConnection::await_reply(int interrupt, Nanoseconds deadline) {
  flush();
  while (!has_reply_buffered()) {
    const WaitEnd end = await_readable(descriptor(), interrupt, deadline);
    if (end != WaitEnd::readable) return end;
    // The received data may be a message of TLS itself instead of a reply.
    if (socket_->is_readable()) break;
    if (boot_now() >= deadline) return WaitEnd::timed_out;
  }
  socket_->begin_request();
  return WaitEnd::readable;
}

}  // namespace memolock
