// Asking sentinels which server is the primary.
#pragma once

#include <string>
#include <string_view>

#include "src/redis/address.hpp"
#include "src/redis/progress_timeout.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// The address of the server that the sentinels of `service` call its primary now; everything but
/// host and port is that of the service. They are asked in turn, and the first that knows the
/// service is believed: the caller must verify the server's role. `timeout` bounds it all, in equal
/// shares for the sentinels; `wait_limit`: as of RedisConnection. Throws Error(store) "the store at
/// NAME by …: …", and Error(interrupted).
[[nodiscard]] RedisAddress find_primary(const RedisAddress& service, Nanoseconds timeout,
                                        const WaitLimit& wait_limit, const Log& log);

/// The address of one sentinel, with the login and TLS settings for it.
[[nodiscard]] RedisAddress sentinel_address(const RedisAddress& service, const RedisHost& host);

/// The message of an error on a connection to a sentinel: "the sentinel at …" in place of "the
/// store at …".
[[nodiscard]] std::string sentinel_error_text(std::string_view error);

}  // namespace memolock
