// Scripts that a server runs in one step.
#pragma once

#include <array>

namespace memolock {

/// The text of a script, in parts, for RedisSession::run_script. Its first three keys are the
/// entry's value, lock and meta, in the order of RedisNames; `wake` is there for it.
struct RedisScript {
  std::array<const char*, 3> parts;
};

/// What stands for a transaction that only reads: the answers to commands, each of which is in ARGV
/// behind the count of its words. No keys: it is for no entry in particular.
inline constexpr const char* read_script = R"(
local replies, at = {}, 1
while ARGV[at] do
  replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, at + ARGV[at]))
  at = at + 1 + ARGV[at]
end
return replies
)";

/// wake: how all scripts tell the waiters to look again. Those of a cluster listen within the
/// shard, as far as its servers can.
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
