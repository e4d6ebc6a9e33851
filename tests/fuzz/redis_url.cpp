// Harness: parses the URL of a Redis store.
#include "src/redis/address.hpp"
#include "src/system/error.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

void look_at(std::string_view url, const RedisAddress& address) {
  require_printable(address.shown());
  require(address.is_direct() || address.has_sentinels() || address.is_cluster(),
          "it has a host and a port");
  if (address.password.empty()) return;
  const RedisAddress open = parse_redis_url(without_password(url));
  require(open.password.empty(), "a URL whose password was removed has none");
  require(open.shown() == address.shown() && open.database == address.database &&
              open.user == address.user && open.use_tls == address.use_tls,
          "and is the same otherwise");
}

const Harness redis_url("redis_url", [](std::string_view url) {
  require(without_password(url).size() <= url.size(), "nothing is added to a URL");
  try {
    look_at(url, parse_redis_url(url));
  } catch (const Error& error) {
    require(error.kind() == Error::Kind::usage, "an invalid URL is a usage error");
    require_printable(error.what());
  }
});

}  // namespace
}  // namespace memolock::fuzz
