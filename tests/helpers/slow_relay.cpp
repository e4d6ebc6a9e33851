// slow_relay WHERE SERVER [OPTION…]: relays what clients and a server send to each other, more
// slowly.
//
// WHERE and SERVER are each the path of a unix socket, or an IPv4 address and a port, ADDRESS:PORT.
//   --rate BYTES           this many bytes per second in each direction
//   --delay MILLISECONDS   delays what the server sends
//   --trickle AFTER        after AFTER bytes of a connection, one byte every 0.4 s from the server
//   --flood AFTER TEXT     after AFTER bytes, TEXT without end instead of what the server sends
//   --replace FROM TO      in what the server sends; both may contain \r and \n
//   --only FIRST LAST      only these connections, counted from 1; others are relayed unchanged
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "src/system/descriptor.hpp"

namespace {

using memolock::Descriptor;
using std::chrono::milliseconds;

struct Options {
  size_t rate = 0;        // bytes per second; 0: no limit
  milliseconds delay{0};  // for each piece that is read
  size_t trickle_after = SIZE_MAX;
  size_t flood_after = SIZE_MAX;
  std::string flood;
  std::vector<std::pair<std::string, std::string>> replacements;
  int first = 1;
  int last = INT32_MAX;
};

int check(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(1);
}

struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Place place_of(const std::string& where) {
  Place place;
  if (where.find('/') != std::string::npos) {
    auto* const address = reinterpret_cast<sockaddr_un*>(&place.address);
    address->sun_family = AF_UNIX;
    where.copy(address->sun_path, sizeof(address->sun_path) - 1);
    place.size = sizeof(*address);
    return place;
  }
  const size_t colon = where.find(':');
  auto* const address = reinterpret_cast<sockaddr_in*>(&place.address);
  address->sin_family = AF_INET;
  address->sin_port = htons(static_cast<uint16_t>(std::stoul(where.substr(colon + 1))));
  check(inet_pton(AF_INET, where.substr(0, colon).c_str(), &address->sin_addr) - 1, "address");
  place.size = sizeof(*address);
  return place;
}

/// A socket with small buffers, which hide little of the delay.
Descriptor stream_socket(const Place& place) {
  const int fd = check(socket(place.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int small = 8192;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return Descriptor(fd);
}

const sockaddr* address_of(const Place& place) {
  return reinterpret_cast<const sockaddr*>(&place.address);
}

/// The path appears when clients can connect.
Descriptor listen_at(const std::string& where) {
  const bool is_path = where.find('/') != std::string::npos;
  const std::string early = is_path ? where + "-" : where;
  const Place place = place_of(early);
  Descriptor listener = stream_socket(place);
  check(bind(listener.get(), address_of(place), place.size), "bind");
  check(listen(listener.get(), 100), "listen");
  if (is_path) check(std::rename(early.c_str(), where.c_str()), "rename");
  return listener;
}

Descriptor connect_to(const Place& place) {
  Descriptor server = stream_socket(place);
  check(connect(server.get(), address_of(place), place.size), "connect");
  return server;
}

/// One direction of a connection.
class Lane {
 public:
  Lane(int from, int to, const Options& options, bool is_of_server)
      : from_(from), to_(to), options_(options), is_of_server_(is_of_server) {}

  void run() {
    std::array<char, 16384> buffer;
    while (is_open_) {
      const size_t step = options_.rate == 0 ? buffer.size() : options_.rate / 20;
      const ssize_t got = read(from_, buffer.data(), std::min(step, buffer.size()));
      if (got <= 0) break;
      pass({buffer.data(), static_cast<size_t>(got)});
      if (options_.rate > 0)
        std::this_thread::sleep_for(milliseconds(got * 1000 / static_cast<ssize_t>(options_.rate)));
    }
    shutdown(from_, SHUT_RDWR);
    shutdown(to_, SHUT_RDWR);
  }

 private:
  void pass(std::string bytes) {
    if (!is_of_server_) return say(bytes);
    std::this_thread::sleep_for(options_.delay);
    for (const auto& [old_text, new_text] : options_.replacements)
      if (const size_t at = bytes.find(old_text); at != std::string::npos)
        bytes.replace(at, old_text.size(), new_text);
    const size_t quick = std::min(options_.trickle_after, options_.flood_after);
    const size_t now = std::min(bytes.size(), quick - std::min(quick, passed_));
    say(std::string_view(bytes).substr(0, now));
    passed_ += now;
    bytes.erase(0, now);
    if (bytes.empty()) return;
    while (is_open_ && options_.flood_after != SIZE_MAX) say(options_.flood);
    for (const char& byte : bytes) {
      // Neither socket is closed before this function ends.
      if (!is_open_) return;
      std::this_thread::sleep_for(milliseconds(400));
      say({&byte, 1});
    }
  }

  void say(std::string_view bytes) {
    if (is_open_) is_open_ = memolock::write_all(to_, bytes) == 0;
  }

  int from_;
  int to_;
  Options options_;
  bool is_of_server_;
  bool is_open_ = true;
  size_t passed_ = 0;
};

/// Relays each direction in a thread. Closes the sockets when both have ended.
void serve(Descriptor client, Descriptor server, const Options& options) {
  const auto ends = std::make_shared<std::pair<Descriptor, Descriptor>>(std::move(client),
                                                                        std::move(server));
  const auto run = [ends, options](bool is_of_server) {
    const int near = ends->first.get();
    const int far = ends->second.get();
    Lane(is_of_server ? far : near, is_of_server ? near : far, options, is_of_server).run();
  };
  std::thread(run, true).detach();
  std::thread(run, false).detach();
}

std::string unescaped(std::string text) {
  for (const auto& [escape, byte] : {std::pair("\\r", "\r"), std::pair("\\n", "\n")})
    for (size_t at = 0; (at = text.find(escape)) != std::string::npos;) text.replace(at, 2, byte);
  return text;
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 3; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--rate") options.rate = std::stoul(argv[++i]);
    if (word == "--delay") options.delay = milliseconds(std::stoul(argv[++i]));
    if (word == "--trickle") options.trickle_after = std::stoul(argv[++i]);
    if (word == "--flood") {
      options.flood_after = std::stoul(argv[++i]);
      options.flood = unescaped(argv[++i]);
      while (options.flood.size() < 8192) options.flood += options.flood;
    }
    if (word == "--replace") {
      const std::string from = unescaped(argv[++i]);
      options.replacements.emplace_back(from, unescaped(argv[++i]));
    }
    if (word == "--only") {
      options.first = std::stoi(argv[++i]);
      options.last = std::stoi(argv[++i]);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  const Options options = read_options(argc, argv);
  const Descriptor listener = listen_at(argv[1]);
  const Place server = place_of(argv[2]);
  for (int number = 1;; ++number) {
    Descriptor client(check(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    const bool is_slow = number >= options.first && number <= options.last;
    serve(std::move(client), connect_to(server), is_slow ? options : Options{});
  }
}
