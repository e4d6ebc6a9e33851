// Lua scripts, which a server runs atomically.
#pragma once

#include <array>

namespace memolock {

/// The text of a script, in parts, for RedisSession::run_script(), which passes the keys of an
/// entry, in this order: value, lock, meta, files, run_state, upload, files_upload and mark. The
/// script may call `wake` (below).
struct RedisScript {
  std::array<const char*, 3> parts;
};

/// Used instead of a transaction that only reads: returns the replies to the commands in ARGV, each
/// preceded by the number of its words. Takes no keys.
inline constexpr const char* read_script = R"(
local replies, at = {}, 1
while ARGV[at] do
  replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, at + ARGV[at]))
  at = at + 1 + ARGV[at]
end
return replies
)";

/// wake(channel, token): notifies the waiters that they should read the state again. On a cluster,
/// they subscribe to the sharded channel if the servers support that.
inline constexpr const char* wake_all = R"(
local function wake(channel, token) redis.pcall('PUBLISH', channel, token) end
)";
inline constexpr const char* wake_in_shard = R"(
local function wake(channel, token)
  local told = redis.pcall('SPUBLISH', channel, token)
  if type(told) == 'table' then redis.pcall('PUBLISH', channel, token) end
end
)";

}  // namespace memolock
