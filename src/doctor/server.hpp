// The checks of `doctor` for a Redis server.
#pragma once

#include <string>

#include "src/doctor/finding.hpp"
#include "src/redis_store/settings.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// Whether the server at the settings' address can be reached and used as a store for the entries
/// of `tag`; for a cluster, each node. If a server cannot be reached or refuses something, that is
/// a finding, not an error. Takes a lock that no other process uses and that would expire within a
/// second, and releases it; nothing remains on the server. Throws Error(interrupted).
[[nodiscard]] Examination examine_server(const RedisSettings& settings, const std::string& tag,
                                         const Log& log);

}  // namespace memolock
