#include "src/redis/socket.hpp"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "src/redis/dial.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

Descriptor dial(const RedisAddress& address, ProgressTimeout& limit) {
  if (address.host.empty()) return dial_unix(address.path, limit);
  return dial_tcp(address.host, address.port, limit);
}

/// The result of a system call on the socket; `waits_for`: the status if it would have blocked.
IoResult io_result_of(ssize_t result, IoResult::Status waits_for) {
  if (result > 0) return {IoResult::Status::moved, static_cast<size_t>(result)};
  if (result == 0 || errno == EPIPE || errno == ECONNRESET) return {IoResult::Status::closed};
  if (errno == EAGAIN || errno == EINTR) return {waits_for};
  throw store_error(lowercase_error_text(errno));
}

}  // namespace

RedisSocket::RedisSocket(const RedisAddress& address, Nanoseconds timeout,
                         const WaitLimit& wait_limit)
    : limit_(timeout, wait_limit), shown_(address.shown()) {
  with_server_name([&] {
    limit_.begin_connecting();
    socket_ = dial(address, limit_);
    limit_.set_socket(socket_.get());
    if (!address.use_tls) return;
    tls_ = std::make_unique<Tls>(socket_.get(), address.tls, address.host);
    if (transfer([&] { return tls_->handshake(); }).status == IoResult::Status::closed)
      throw store_error("closed the connection");
  });
}

void RedisSocket::begin_request() {
  with_server_name([&] { limit_.begin_request(); });
}

void RedisSocket::begin_reply() {
  with_server_name([&] { limit_.begin_reply(); });
}

bool RedisSocket::send(std::string_view bytes, MoreToCome more) {
  const int flags = MSG_NOSIGNAL | (more == MoreToCome::yes ? MSG_MORE : 0);
  while (!bytes.empty()) {
    const IoResult sent = transfer_out([&] {
      if (tls_) return tls_->write(bytes);
      return io_result_of(::send(socket_.get(), bytes.data(), bytes.size(), flags),
                          IoResult::Status::wants_output);
    });
    if (sent.status == IoResult::Status::closed) return false;
    bytes.remove_prefix(sent.bytes);
  }
  return true;
}

bool RedisSocket::send_file(int file, uint64_t offset, uint64_t size) {
  if (tls_) return send_copies(file, offset, size);
  auto position = static_cast<off64_t>(offset);
  while (size > 0) {
    constexpr uint64_t largest_step = 16U << 20;
    bool at_end = false;
    const IoResult sent = transfer_out([&] {
      const ssize_t result = sendfile64(socket_.get(), file, &position,
                                        std::min(size, largest_step));
      at_end = result == 0;
      return io_result_of(result, IoResult::Status::wants_output);
    });
    if (at_end) fail("the file with the value is too short");
    if (sent.status == IoResult::Status::closed) return false;
    size -= sent.bytes;
  }
  return true;
}

bool RedisSocket::send_copies(int file, uint64_t offset, uint64_t size) {
  constexpr uint64_t largest_step = 64U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(largest_step);
  while (size > 0) {
    const ssize_t got = read_all_at(file, buffer.get(), std::min(size, largest_step), offset);
    if (got < 0) fail("cannot read the file with the value: " + error_text(errno));
    if (got == 0) fail("the file with the value is too short");
    const auto count = static_cast<size_t>(got);
    if (!send({buffer.get(), count}, MoreToCome::yes)) return false;
    offset += count;
    size -= count;
  }
  return true;
}

size_t RedisSocket::receive(char* into, size_t size) {
  return with_server_name([&] {
    const IoResult received = transfer([&] {
      if (tls_) return tls_->read(into, size);
      return io_result_of(recv(socket_.get(), into, size, 0), IoResult::Status::wants_input);
    });
    limit_.check();
    return received.bytes;
  });
}

bool RedisSocket::has_pending() const { return tls_ && tls_->has_pending(); }

bool RedisSocket::is_readable() {
  return with_server_name([&] { return has_input(); });
}

bool RedisSocket::has_input() {
  char first = 0;
  const IoResult step = tls_ ? tls_->peek()
                             : io_result_of(recv(socket_.get(), &first, 1, MSG_PEEK),
                                            IoResult::Status::wants_input);
  return step.status == IoResult::Status::moved || step.status == IoResult::Status::closed;
}

std::string RedisSocket::error_message(std::string_view what) const {
  return fmt::format("the store at {}: {}", shown_, what);
}

void RedisSocket::fail(std::string_view what) const { throw store_error(error_message(what)); }

/// Used after an interrupt: the kernel would otherwise continue to send the buffered part of the
/// request.
void RedisSocket::discard_unsent() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (socket_) setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

/// Tries again until bytes have been transferred, or the peer has closed the connection.
template <typename Attempt>
IoResult RedisSocket::transfer(Attempt attempt) {
  for (;;) {
    const IoResult step = attempt();
    if (step.status == IoResult::Status::moved || step.status == IoResult::Status::closed)
      return step;
    limit_.await(socket_.get(), step.status == IoResult::Status::wants_input ? POLLIN : POLLOUT);
  }
}

/// The same for sending. If a server has stopped reading but has sent data, that is probably the
/// reason: it gets one more timeout for the rest.
template <typename Attempt>
IoResult RedisSocket::transfer_out(Attempt attempt) {
  return with_server_name([&] {
    try {
      const IoResult sent = transfer(attempt);
      limit_.add_sent(sent.bytes);
      return sent;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store || !has_input()) throw;
      limit_.await_final_reply();
      return IoResult{IoResult::Status::closed};
    }
  });
}

/// Puts the server's name in front of error messages.
template <typename Action>
auto RedisSocket::with_server_name(Action action) -> decltype(action()) {
  try {
    return action();
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::interrupted) discard_unsent();
    throw Error(error.kind(), fmt::format("the store at {}: {}", shown_, error.what()));
  }
}

}  // namespace memolock
