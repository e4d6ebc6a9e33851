#include "bench/redis_server.hpp"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "src/system/error.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds timeout(2);

/// Creates ca.pem, server.pem for 127.0.0.1, and server.key.
void make_certificates(const fs::path& home) {
  constexpr const char* script = R"(
    cd "$1" || exit
    new() {
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out "$2" $3
    }
    {
      new ca ca.pem -x509 && new server request.pem &&
        echo subjectAltName=IP:127.0.0.1 >names &&
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 2 -extfile names \
          -out server.pem
    } 2>log)";
  if (run({"sh", "-c", script, "sh", home}, To::dev_null).status != 0)
    throw std::runtime_error("openssl makes no certificates");
}

/// The value that follows "NAME:" in the reply to INFO.
const char* text_of(const std::string& info, const std::string& name) {
  const size_t at = info.find("\n" + name + ":");
  if (at == std::string::npos) throw std::runtime_error("the server does not count " + name);
  return info.c_str() + at + name.size() + 2;
}
int64_t number_of(const std::string& info, const std::string& name) {
  return strtoll(text_of(info, name), nullptr, 10);
}
double real_number_of(const std::string& info, const std::string& name) {
  return strtod(text_of(info, name), nullptr);
}

pid_t launch(const fs::path& home, uint16_t port, uint16_t tls_port, const Words& options) {
  fs::create_directory(home);
  make_certificates(home);
  // redis-check-rdb is the same program as the server. Its package, unlike that of the server,
  // starts no service.
  constexpr const char* script = R"(
    cd "$0" || exit
    port=$1 tls_port=$2
    shift 2
    exec -a redis-server redis-check-rdb --port "$port" --tls-port "$tls_port" --bind 127.0.0.1 "$@" \
      --unixsocket socket --save '' --appendonly no --tls-auth-clients no \
      --tls-ca-cert-file ca.pem --tls-cert-file server.pem --tls-key-file server.key >log)";
  const Words words{"setpriv",
                    "--pdeathsig",
                    "TERM",
                    "bash",
                    "-c",
                    script,
                    home,
                    std::to_string(port),
                    std::to_string(tls_port)};
  return start(joined(words, options), STDOUT_FILENO);
}

}  // namespace

uint16_t free_port() {
  const memolock::Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const bytes = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket.get(), bytes, size) != 0 || getsockname(socket.get(), bytes, &size) != 0)
    throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

RedisServer::RedisServer(fs::path home, const Words& options)
    : home_(std::move(home)),
      port_(free_port()),
      tls_port_(free_port()),
      pid_(launch(home_, port_, tls_port_, options)) {
  await_start();
}

RedisServer::~RedisServer() {
  kill(pid_, SIGTERM);
  finish(pid_, now());
}

memolock::RedisConnection RedisServer::connect() const {
  memolock::RedisAddress address;
  address.path = home_ / "socket";
  return {address, timeout, {}};
}

void RedisServer::await_start() {
  for (;;) {
    try {
      connection_ = std::make_unique<memolock::RedisConnection>(connect());
      return;
    } catch (const memolock::Error&) {
      if (waitpid(pid_, nullptr, WNOHANG) != 0) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

Words RedisServer::over_unix() const {
  return {"--store", fmt::format("redis+unix://{}/socket", home_.string())};
}
Words RedisServer::over_tcp() const {
  return {"--store", fmt::format("redis://127.0.0.1:{}", port_)};
}
Words RedisServer::over_tls() const {
  return {"--store", fmt::format("rediss://127.0.0.1:{}", tls_port_), "--tls-ca", home_ / "ca.pem"};
}
Words RedisServer::cli_over_unix() const { return {"redis-cli", "-s", home_ / "socket"}; }
Words RedisServer::cli_over_tcp() const {
  return {"redis-cli", "-h", "127.0.0.1", "-p", std::to_string(port_)};
}
Words RedisServer::cli_over_tls() const {
  return {"redis-cli", "-h",       "127.0.0.1",     "-p", std::to_string(tls_port_),
          "--tls",     "--cacert", home_ / "ca.pem"};
}

memolock::RedisReply RedisServer::ask(std::initializer_list<memolock::RedisArgument> command) {
  connection_->queue(command);
  memolock::RedisReply reply = connection_->read_reply();
  if (reply.is_error()) throw std::runtime_error(*reply.error());
  ++asked_;
  return reply;
}

RedisServer::Counters RedisServer::count() {
  const std::string info = ask({"INFO"}).text();
  const double cpu = real_number_of(info, "used_cpu_user") + real_number_of(info, "used_cpu_sys");
  return {number_of(info, "connected_clients") - 1,
          number_of(info, "total_connections_received") - 1,
          number_of(info, "total_reads_processed") - asked_,
          number_of(info, "total_commands_processed") - asked_,
          number_of(info, "total_net_input_bytes"),
          number_of(info, "total_net_output_bytes"),
          Milliseconds(cpu * 1000)};
}

}  // namespace bench
