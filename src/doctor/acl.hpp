// Which permissions memolock needs on a Redis server, and whether a user has them.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"
#include "src/entry/key.hpp"
#include "src/redis/address.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The smallest set of permissions that the entries of `tag` at `address` require, as arguments of
/// ACL SETUSER after the user's name and password.
[[nodiscard]] std::string least_acl_rule(const std::string& tag, const RedisAddress& address);

/// Whether the user at `address`, which must name one server, has the permissions of
/// least_acl_rule(), and whether the server accepts writes. Queues every command in a transaction
/// that is never executed, on a separate connection: the server checks permissions when a command
/// is queued. So nothing is written, and no permission to read ACLs is required. `scratch`: a key
/// without an entry. Throws Error(store) if the server cannot be reached, and Error(interrupted).
[[nodiscard]] std::vector<Finding> examine_access(const RedisAddress& address, Nanoseconds timeout,
                                                  const Key& scratch);

}  // namespace memolock
