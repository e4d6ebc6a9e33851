// Whether a Redis server is reachable and fit to be a store.
#pragma once

#include <string>

#include "src/doctor/finding.hpp"
#include "src/redis_store/settings.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// Tries the server out for the entries of `tag`. A server that is out of reach, or that refuses
/// something, is a finding and no error. Takes and releases a lock that nobody else wants, which
/// would expire within a second; leaves nothing behind. Keeps a reference to `log` while it works.
[[nodiscard]] Examination examine_server(const RedisSettings& settings, const std::string& tag,
                                         const Log& log);

}  // namespace memolock
