// A server that answers as it should, or nearly so, to all who call at its socket and its port.
#pragma once

#include <poll.h>

#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>

#include "src/system/descriptor.hpp"
#include "tests/fuzz/session/model.hpp"

namespace memolock::fuzz {

class Server {
 public:
  /// Listens at the path of a unix socket, and at a port of 127.0.0.1 that is free.
  explicit Server(const std::string& path);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] uint16_t port() const { return port_; }

  /// From now on it is this one. Its replies are spoilt so, each connection's by chance of its own.
  void become(Model model, const Spoiling& spoiling, uint64_t seed);

  /// Answers until `is_over`, which is asked again when one of `others` is readable and after
  /// 50 ms.
  void serve(const std::vector<int>& others, const std::function<bool()>& is_over);

  /// What was said on each connection, "> " before what it was asked and "< " before what it said.
  [[nodiscard]] const std::string& conversation() const { return conversation_; }

 private:
  struct Client {
    Client(Descriptor from, uint64_t seed, size_t its_number)
        : socket(std::move(from)), chance(seed), number(its_number) {}

    Descriptor socket;
    Chance chance;
    size_t number;
    std::string received, unsent;
    bool in_transaction = false, speaks_resp3 = false, ends = false;
    std::vector<Words> queued;
    std::set<std::string> channels;
  };

  void welcome(int listener);
  void hear(Client& client);
  void answer(Client& client, const Words& command);
  [[nodiscard]] std::vector<Reply> replies_to(Client& client, const Words& command);
  [[nodiscard]] std::vector<Reply> subscribe(Client& client, const Words& command);
  void say(Client& client, Reply reply, double percent);
  void tell_subscribers();
  void flush(Client& client);

  Descriptor unix_listener_, tcp_listener_;
  uint16_t port_ = 0;
  std::optional<Model> model_;
  Spoiling spoiling_;
  uint64_t seed_ = 0;
  size_t welcomed_ = 0;
  std::list<Client> clients_;
  std::string conversation_;
};

}  // namespace memolock::fuzz
