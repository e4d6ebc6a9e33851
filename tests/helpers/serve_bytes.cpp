// serve_bytes WHERE ACTION…: a server that performs the actions with its only client, and then
// closes.
//
// WHERE is the path of a unix socket, or an IPv4 address and a port, ADDRESS:PORT. Actions:
//   say BYTES       file PATH (its content)       sleep SECONDS
//   read N          reads N bytes, or fewer at the end
//   leave reading   sends no more, and reads until the client closes
//   mute            accepts no client: a connection is neither made nor refused
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "src/system/descriptor.hpp"

namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int check(int result, const char* what) { return result < 0 ? (die(what), -1) : result; }

sockaddr_in tcp_address(const std::string& where) {
  const size_t colon = where.find(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoul(where.substr(colon + 1))));
  if (inet_pton(AF_INET, where.substr(0, colon).c_str(), &address.sin_addr) != 1) die("address");
  return address;
}

template <typename Address>
int bound(int family, const Address& address) {
  const int fd = check(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  check(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), "bind");
  check(listen(fd, 0), "listen");
  return fd;
}

/// The path appears when clients can connect.
int listen_at(const std::string& where) {
  if (where.find('/') == std::string::npos) return bound(AF_INET, tcp_address(where));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string early = where + "-";
  early.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = bound(AF_UNIX, address);
  check(std::rename(early.c_str(), where.c_str()), "rename");
  return fd;
}

/// Fills the queue of clients that wait to be accepted, until the next client gets no answer.
void fill_queue(const std::string& where) {
  const sockaddr_in address = tcp_address(where);
  for (;;) {
    const int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
    (void)connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
    if (poll(&waiting, 1, 200) == 0) return;
  }
}

void read_bytes(int from, size_t count) {
  std::vector<char> buffer(64U << 10);
  while (count > 0) {
    const ssize_t got = read(from, buffer.data(), std::min(count, buffer.size()));
    if (got <= 0) return;
    count -= static_cast<size_t>(got);
  }
}

void act(int client, const std::string& action, const std::string& what) {
  if (action == "say") (void)memolock::write_all(client, what);
  if (action == "read") read_bytes(client, std::stoul(what));
  if (action == "leave") {
    shutdown(client, SHUT_WR);
    read_bytes(client, SIZE_MAX);
  }
  if (action == "sleep")
    std::this_thread::sleep_for(std::chrono::duration<double>(std::stod(what)));
  if (action != "file") return;
  const memolock::Descriptor file(open(what.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  check(fstat(file.get(), &info), what.c_str());
  (void)memolock::copy_range(file.get(), 0, static_cast<uint64_t>(info.st_size), client);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  const std::string where = argv[1];
  const int listener = listen_at(where);
  if (std::string(argv[2]) == "mute") {
    fill_queue(where);
    std::puts("mute");
    std::fflush(stdout);
    for (;;) pause();
  }
  const int client = check(accept(listener, nullptr, nullptr), "accept");
  close(listener);
  for (int i = 2; i + 1 < argc; i += 2) act(client, argv[i], argv[i + 1]);
  return 0;
}
