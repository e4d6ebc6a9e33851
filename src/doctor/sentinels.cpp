#include "src/doctor/sentinels.hpp"

#include <string>

#include <fmt/format.h>

#include "src/redis/connection.hpp"
#include "src/redis/sentinel.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

using Severity = Finding::Severity;

/// The finding about one sentinel. `primary`: the primary that earlier sentinels have named; set by
/// the first sentinel that names one.
Finding check_sentinel(const RedisAddress& service, const RedisAddress& sentinel,
                       Nanoseconds timeout, std::string& primary) {
  const std::string name = sentinel.shown();
  RedisConnection connection(sentinel, timeout, {});
  connection.queue({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service.sentinels.service_name});
  connection.queue({"SENTINEL", "CKQUORUM", service.sentinels.service_name});
  const RedisReply address = connection.read_reply();
  const RedisReply quorum = connection.read_reply();
  if (address.is_error())
    return {Severity::advice, "sentinel", fmt::format("{}: {}", name, *address.error()),
            "check that it is a sentinel and that --sentinel-user has access"};
  if (address.is_nil())
    return {Severity::advice, "sentinel",
            fmt::format("{} does not know the primary '{}'", name, service.sentinels.service_name),
            "make it monitor that name, or remove it from the URL"};
  const auto [host, port] = address.array<2>();
  const std::string says = host->text() + ':' + port->text();
  if (primary.empty()) primary = says;
  if (says != primary)
    return {Severity::advice, "sentinel",
            fmt::format("{} reports the primary {}, others report {}", name, says, primary),
            "a failover may be in progress; otherwise check that all sentinels monitor the same "
            "service"};
  if (quorum.is_error())
    return {Severity::advice, "sentinel", fmt::format("{}: {}", name, *quorum.error()),
            "without a quorum, no replica takes over when the primary fails"};
  return {Severity::ok, "sentinel", fmt::format("{} reports the primary {}", name, says), ""};
}

}  // namespace

std::vector<Finding> examine_sentinels(const RedisAddress& service, Nanoseconds timeout) {
  std::vector<Finding> findings;
  std::string primary;
  for (const auto& host : service.sentinels.hosts) {
    const RedisAddress sentinel = sentinel_address(service, host);
    try {
      findings.push_back(read_from(fmt::format("the sentinel at {}", sentinel.shown()), [&] {
        return check_sentinel(service, sentinel, timeout, primary);
      }));
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::store) throw;
      const std::string text = sentinel_error_text(error.what());
      const bool wants_login = text.find("NOAUTH") != std::string::npos ||
                               text.find("WRONGPASS") != std::string::npos;
      findings.push_back({Finding::Severity::advice, "sentinel", text,
                          wants_login ? "correct --sentinel-user, and --sentinel-password-file or "
                                        "MEMOLOCK_SENTINEL_PASSWORD"
                                      : "start it, or remove it from the URL"});
    }
  }
  return findings;
}

}  // namespace memolock
