#include "tests/fuzz/session/server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "src/system/text.hpp"

namespace memolock::fuzz {
namespace {

template <typename Address>
Descriptor listen_at(int family, const Address& address) {
  Descriptor listener(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* const any = reinterpret_cast<const sockaddr*>(&address);
  if (bind(listener.get(), any, sizeof address) != 0 || listen(listener.get(), 32) != 0)
    throw std::runtime_error("cannot listen");
  return listener;
}

/// The number in a line "*N\r\n" or "$N\r\n" that begins at `at`. Moves `at` after the line.
std::optional<size_t> take_count(std::string_view bytes, size_t& at) {
  const size_t end = bytes.find("\r\n", at);
  if (end == std::string_view::npos) return std::nullopt;
  size_t count = 0;
  std::from_chars(bytes.data() + at + 1, bytes.data() + end, count);
  at = end + 2;
  return count;
}

/// Removes a complete command from the front of the bytes. Nothing if it is not complete yet.
std::optional<Words> take_command(std::string& bytes) {
  size_t at = 0;
  const auto count = take_count(bytes, at);
  if (!count) return std::nullopt;
  Words words;
  while (words.size() < *count) {
    const auto size = take_count(bytes, at);
    if (!size || bytes.size() < at + *size + 2) return std::nullopt;
    words.push_back(bytes.substr(at, *size));
    at += *size + 2;
  }
  bytes.erase(0, at);
  return words;
}

std::string shown(const Words& command) {
  constexpr size_t enough = 80;
  std::string text;
  for (const std::string_view word : command)
    text += ' ' + escape_controls(word.substr(0, enough)) + (word.size() > enough ? "..." : "");
  return text;
}

}  // namespace

Server::Server(const std::string& path) {
  sockaddr_un name{AF_UNIX, {}};
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  unix_listener_ = listen_at(AF_UNIX, name);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  tcp_listener_ = listen_at(AF_INET, address);
  socklen_t size = sizeof address;
  getsockname(tcp_listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
}

void Server::become(Model model, const Spoiling& spoiling, uint64_t seed) {
  clients_.clear();
  conversation_.clear();
  model_.emplace(std::move(model));
  spoiling_ = spoiling;
  seed_ = seed;
  welcomed_ = 0;
}

void Server::serve(const std::vector<int>& others, const std::function<bool()>& is_over) {
  while (!is_over()) {
    std::vector<pollfd> polled{{unix_listener_.get(), POLLIN, 0}, {tcp_listener_.get(), POLLIN, 0}};
    for (const int other : others) polled.push_back({other, POLLIN, 0});
    const size_t first = polled.size();
    for (const Client& client : clients_)
      polled.push_back({client.socket.get(),
                        static_cast<short>(client.unsent.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    (void)poll(polled.data(), polled.size(), 50);
    size_t at = first;
    for (Client& client : clients_) {
      const short events = polled[at++].revents;
      if ((events & POLLOUT) != 0) flush(client);
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) hear(client);
    }
    clients_.remove_if([](const Client& client) { return client.ends && client.unsent.empty(); });
    for (size_t i = 0; i < 2; ++i)
      if (polled[i].revents != 0) welcome(polled[i].fd);
  }
}

void Server::welcome(int listener) {
  Descriptor socket(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return;
  const size_t number = welcomed_++;
  clients_.emplace_back(std::move(socket), seed_ * 1000003 + number, number);
}

void Server::hear(Client& client) {
  std::array<char, 65536> buffer{};
  const ssize_t got = read(client.socket.get(), buffer.data(), buffer.size());
  if (got <= 0) {
    client.ends = true;
    client.unsent.clear();
    return;
  }
  client.received.append(buffer.data(), static_cast<size_t>(got));
  while (!client.ends) {
    const auto command = take_command(client.received);
    if (!command) break;
    if (!command->empty()) answer(client, *command);
  }
  flush(client);
  tell_subscribers();
}

void Server::answer(Client& client, const Words& command) {
  conversation_ += fmt::format("{} >{}\n", client.number, shown(command));
  const auto replies = replies_to(client, command);
  // A transaction that fails before its EXEC is never executed.
  const double percent = client.in_transaction ? spoiling_.percent / 20 : spoiling_.percent;
  for (const Reply& reply : replies) say(client, reply, percent);
}

std::vector<Reply> Server::subscribe(Client& client, const Words& command) {
  std::vector<Reply> replies;
  const auto kind = client.speaks_resp3 ? Reply::Kind::push : Reply::Kind::array;
  std::string word = command[0];
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Words channels(command.begin() + 1, command.end());
  const bool leaves = word == "unsubscribe";
  if (leaves) channels.assign(client.channels.begin(), client.channels.end());
  for (const std::string& channel : channels) {
    if (leaves) {
      client.channels.erase(channel);
    } else {
      client.channels.insert(channel);
    }
    const auto count = static_cast<int64_t>(client.channels.size());
    replies.push_back({kind, 0, {}, {Reply::of(word), Reply::of(channel), Reply::of(count)}});
  }
  return replies;
}

std::vector<Reply> Server::replies_to(Client& client, const Words& command) {
  const std::string& name = command[0];
  if (name == "MULTI") {
    client.in_transaction = true;
    client.queued.clear();
    return {Reply::status("OK")};
  }
  if (name == "EXEC") {
    if (!std::exchange(client.in_transaction, false))
      return {Reply::error("ERR EXEC without MULTI")};
    std::vector<Reply> all;
    for (const Words& each : client.queued)
      for (Reply& reply : replies_to(client, each)) all.push_back(std::move(reply));
    return {Reply::array(std::move(all))};
  }
  if (client.in_transaction) {
    client.queued.push_back(command);
    return {Reply::status("QUEUED")};
  }
  if (name == "SUBSCRIBE" || name == "SSUBSCRIBE" || name == "UNSUBSCRIBE")
    return subscribe(client, command);
  if (name == "HELLO") client.speaks_resp3 = command.back() == "3";
  return {model_->answer(command)};
}

/// Sends a reply, usually unchanged.
void Server::say(Client& client, Reply reply, double percent) {
  Chance& chance = client.chance;
  std::string bytes;
  const bool is_spoilt = chance.is(percent);
  if (!is_spoilt) {
    bytes = reply.bytes();
  } else if (chance.is(70)) {
    bytes = spoilt(std::move(reply), chance, spoiling_).bytes();
  } else {
    bytes = reply.bytes();
    switch (chance.below(6)) {
      case 0:  // truncated
        bytes.resize(chance.below(bytes.size()));
        client.ends = true;
        break;
      case 1:  // not sent
        bytes.clear();
        break;
      case 2:  // sent twice
        bytes += bytes;
        break;
      case 3:
        bytes.clear();
        client.ends = true;
        break;
      case 4:
        bytes = ">3\r\n$7\r\nmessage\r\n$9\r\nt/notif:x\r\n$1\r\nv\r\n" + bytes;
        break;
      default:
        bytes[chance.below(bytes.size())] = static_cast<char>(chance.below(256));
    }
  }
  conversation_ += fmt::format("{} {} {}\n", client.number, is_spoilt ? "<!" : "<",
                               escape_controls(bytes.substr(0, 300)));
  client.unsent += bytes;
}

void Server::tell_subscribers() {
  for (const auto& [channel, payload] : model_->take_messages())
    for (Client& client : clients_) {
      if (!client.channels.contains(channel)) continue;
      const auto kind = client.speaks_resp3 ? Reply::Kind::push : Reply::Kind::array;
      say(client, {kind, 0, {}, {Reply::of("message"), Reply::of(channel), Reply::of(payload)}},
          spoiling_.percent);
      flush(client);
    }
}

void Server::flush(Client& client) {
  const ssize_t sent = send(client.socket.get(), client.unsent.data(), client.unsent.size(),
                            MSG_NOSIGNAL);
  if (sent > 0) client.unsent.erase(0, static_cast<size_t>(sent));
  if (sent < 0 && errno != EAGAIN) {
    client.unsent.clear();
    client.ends = true;
  }
}

}  // namespace memolock::fuzz
