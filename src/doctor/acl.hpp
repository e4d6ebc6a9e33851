// Which permissions memolock needs on a Redis server, and whether a user has them.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"
#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The least permissions for the entries of `tag` at `address`: the arguments of ACL SETUSER after
/// the user's name and password.
[[nodiscard]] std::string least_acl_rule(const std::string& tag, const RedisAddress& address);

/// Whether the user at `address`, which must name one server, has them, and whether the server
/// accepts writes. Queues every command in a transaction that is never executed, on a connection of
/// its own: the server checks permissions when a command is queued. So nothing is written, and no
/// permission to read ACLs is needed. `scratch`: the key of an entry that does not exist. Throws
/// Error(store) when the server cannot be reached, and Error(interrupted).
[[nodiscard]] std::vector<Finding> examine_access(const RedisAddress& address, Nanoseconds timeout,
                                                  const Key& scratch);

}  // namespace memolock
