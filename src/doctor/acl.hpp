// What an ACL user must be allowed on a Redis server, and whether that user is.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"
#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The least for the entries of `tag` at `address`: the words of ACL SETUSER behind a user's name
/// and password.
[[nodiscard]] std::string least_acl_rule(const std::string& tag, const RedisAddress& address);

/// Whether the user at `address`, which is a server's own, may do all that, and whether the server
/// takes writes. Asks on a connection of its own, in a transaction that never takes place: a server
/// checks every command when it is queued, so nothing is written, and no right to ask about rights
/// is needed. `scratch` names an entry that nobody has. Throws Error(store) when the server cannot
/// be reached.
[[nodiscard]] std::vector<Finding> examine_access(const RedisAddress& address, Nanoseconds timeout,
                                                  const Key& scratch);

}  // namespace memolock
