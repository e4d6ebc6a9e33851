// Asking sentinels which server is the primary.
#pragma once

#include <string>
#include <string_view>

#include "src/redis/address.hpp"
#include "src/redis/progress_timeout.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// The address of the server that the sentinels of `service` name as its primary; everything but
/// host and port is copied from `service`. They are asked one after the other, and the reply of the
/// first one that knows the service is used. That may be outdated, so the caller must verify the
/// server's role. `timeout` is divided equally among the sentinels: each may take its share to
/// connect, and the same time to reply. `wait_limit`: see RedisConnection. Throws Error(store) "the
/// store at NAME by …: …", and Error(interrupted).
[[nodiscard]] RedisAddress find_primary(const RedisAddress& service, Nanoseconds timeout,
                                        const WaitLimit& wait_limit, const Log& log);

/// The address of one sentinel, with the login and TLS settings for it.
[[nodiscard]] RedisAddress sentinel_address(const RedisAddress& service, const RedisHost& host);

/// The message of an error on a connection to a sentinel: "the sentinel at …" instead of "the store
/// at …".
[[nodiscard]] std::string sentinel_error_text(std::string_view error);

}  // namespace memolock
