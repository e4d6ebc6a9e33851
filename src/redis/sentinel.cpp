#include "src/redis/sentinel.hpp"

#include <optional>

#include <fmt/format.h>

#include "src/redis/connection.hpp"
#include "src/system/error.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// The primary that one sentinel names; nothing if it does not know the service. Throws Error.
std::optional<RedisAddress> ask_for_primary(const RedisAddress& service,
                                            const RedisAddress& sentinel, Nanoseconds timeout,
                                            const WaitLimit& wait_limit) {
  RedisConnection connection(sentinel, timeout, wait_limit);
  connection.queue({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service.sentinels.service_name});
  const RedisReply reply = connection.read_reply();
  const std::string name = fmt::format("the sentinel at {}", sentinel.shown());
  return read_from(name, [&]() -> std::optional<RedisAddress> {
    if (reply.is_nil()) return std::nullopt;
    const auto [host, digits] = reply.array<2>();
    const auto port = parse_number(digits->text(), 1, UINT16_MAX);
    if (!port || !is_printable_word(host->text()))
      throw store_error(name + ": the reply is not an address");
    return service.at({host->text(), static_cast<uint16_t>(*port)});
  });
}

}  // namespace

std::string sentinel_error_text(std::string_view error) {
  constexpr std::string_view of_store = "the store at ";
  if (!error.starts_with(of_store)) return std::string(error);
  return "the sentinel at " + std::string(error.substr(of_store.size()));
}

RedisAddress sentinel_address(const RedisAddress& service, const RedisHost& host) {
  RedisAddress sentinel;
  sentinel.host = host.name;
  sentinel.port = host.port;
  sentinel.user = service.sentinels.user;
  sentinel.password = service.sentinels.password;
  sentinel.use_tls = service.use_tls;
  sentinel.tls = service.tls;
  return sentinel;
}

RedisAddress find_primary(const RedisAddress& service, Nanoseconds timeout,
                          const WaitLimit& wait_limit, const Log& log) {
  const auto& hosts = service.sentinels.hosts;
  const Nanoseconds share = timeout / static_cast<int64_t>(hosts.size());
  std::string last_fault = "no sentinel knows a primary of that name";
  for (const auto& host : hosts) {
    try {
      // One share to connect, and the same time for the reply.
      const auto primary = ask_for_primary(service, sentinel_address(service, host), share,
                                           wait_limit.within(2 * share));
      if (primary) {
        log.debug("the primary is {}, according to {}", primary->shown(), host.name);
        return *primary;
      }
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store) throw;
      last_fault = sentinel_error_text(error.what());
      log.debug("{}; trying the next one", last_fault);
    }
  }
  throw store_error(fmt::format("the store at {}: {}", service.shown(), last_fault));
}

}  // namespace memolock
