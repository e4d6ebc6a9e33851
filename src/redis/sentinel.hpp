// Which server is the master: what sentinels say.
#pragma once

#include <string>
#include <string_view>

#include "src/redis/address.hpp"
#include "src/redis/progress_timeout.hpp"
#include "src/system/clock.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// The address of the server that the sentinels of `service` call its master now; everything else
/// is the service's. They are asked in turn, and the first to know is believed: whoever connects
/// there is to verify the server's role. `timeout` bounds it all, each sentinel having its share;
/// `cutoff` as of RedisConnection. Throws Error(store) "the store at NAME by …: …", and
/// Error(interrupted).
[[nodiscard]] RedisAddress find_primary(const RedisAddress& service, Nanoseconds timeout,
                                       const Cutoff& cutoff, const Log& log);

/// The address of one sentinel, to ask it something.
[[nodiscard]] RedisAddress sentinel_address(const RedisAddress& service, const RedisHost& host);

/// What was said of a connection to one, "the store at …", worded for it.
[[nodiscard]] std::string of_sentinel(std::string_view error);

}  // namespace memolock
