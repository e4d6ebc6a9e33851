// A server that gives all clients of its socket and its port correct or nearly correct replies.
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
  /// Listens on a unix socket at `path`, and on a free port of 127.0.0.1.
  explicit Server(const std::string& path);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] uint16_t port() const { return port_; }

  /// From now on the server has the state `model`. Its replies are corrupted as `spoiling` says;
  /// each connection has random choices of its own, derived from `seed`.
  void become(Model model, const Spoiling& spoiling, uint64_t seed);

  /// Serves clients until `is_over` returns true. It is called whenever one of `others` is
  /// readable, and every 50 ms.
  void serve(const std::vector<int>& others, const std::function<bool()>& is_over);

  /// What was sent on each connection, with "> " before requests and "< " before replies.
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
