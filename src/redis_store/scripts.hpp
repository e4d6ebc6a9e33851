// The Lua scripts of the Redis store, for operations that must be atomic on the server.
//
// All scripts take the same keys: value, lock, meta, files, run_state, upload, files_upload, mark
// (see RedisNames). Each is sent with its whole text: a kilobyte costs less than a request that
// fails because the server no longer has the script. No script depends on an earlier run of another
// one. Each may be sent twice, because the first reply may have been lost.
#pragma once

#include <string_view>

#include "src/redis/script.hpp"

namespace memolock::redis_scripts {

/// The content of the lock for a short time after a commit, which does not delete the lock. A
/// client of redis-memolock looks for a value, finds none and then takes the lock without a second
/// look-up, although a run may have ended in between. For such a client the lock is still held; for
/// memolock it is free.
inline constexpr const char* released_marker = "released";

/// holder(): the token in the lock; false if the lock is free.
inline constexpr const char* holder_function = R"(
local released = 'released'
local function holder()
  local token = redis.call('GET', KEYS[2])
  return token ~= released and token
end
)";
static_assert(std::string_view(holder_function).find(released_marker) != std::string_view::npos);

/// Functions for scripts that store data:
///
/// - is_own: whether the stored value belongs to the meta: it must have the same expiry, and the
///   length and SHA-1 in the meta, which has no SHA-1 of a large value. The meta outlives the value
///   by a second (`linger`): expiries shift when a slot moves, and a value that outlives its meta
///   is treated as a foreign one.
/// - newer_than: whether the stored data, a mark included, is newer than `since` (microseconds). A
///   foreign value is treated as newer, because its age is unknown.
/// - lost: deletes the data that was uploaded for this run, and returns "lost", the result of a
///   script that was not permitted to store.
/// - block_token: for `life` (ms) from now on, all requests with `token` are refused, even if the
///   hash run_state is rewritten. The hash has a field (block_field) for each such token, with the
///   time when the block ends.
/// - is_token_blocked: whether requests with `token` are refused.
/// - clear_run: deletes all other fields of run_state, and sets its expiry to the end of the last
///   block.
/// - extend_run_hash: extends the life of run_state to at least `life` (ms).
/// - may_store: whether an outcome may be stored given the current `holder` (false: none); `since`
///   is the `acquired_or_rule` of RedisWritePermission.
///
/// A server out of memory permits HSET only after another write in the script, so HDEL precedes it.
inline constexpr const char* shared_functions = R"(
local linger = 1000
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function is_of_this_run(key) return redis.pcall('HGET', key, 'token') == ARGV[1] end
local function is_own()
  local meta = redis.call('HMGET', KEYS[3], 'length', 'sha1')
  if tonumber(meta[1] or -1) ~= redis.call('STRLEN', KEYS[1]) then return false end
  local left, of_meta = redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[3])
  if left < 0 and of_meta ~= left then return false end
  if left >= 0 and math.abs(of_meta - linger - left) > linger / 2 then return false end
  return not meta[2] or meta[2] == redis.sha1hex(redis.call('GET', KEYS[1]))
end
local function has_newer_mark(since)
  local begun = redis.call('HGET', KEYS[8], 'begun')
  return begun and tonumber(begun) > (tonumber(since) or 0)
end
local function newer_than(since)
  if has_newer_mark(since) then return true end
  if redis.call('EXISTS', KEYS[1]) == 0 then return false end
  local ended = redis.call('HGET', KEYS[3], 'ended')
  return not ended or tonumber(ended) > tonumber(since) or not is_own()
end
local function lost()
  if redis.call('HGET', KEYS[5], 'part') == ARGV[1] then
    redis.call('HDEL', KEYS[5], 'part')
    redis.call('DEL', KEYS[6], KEYS[7])
  end
  return 'lost'
end
local function extend_run_hash(life)
  if redis.call('PTTL', KEYS[5]) < tonumber(life) then redis.call('PEXPIRE', KEYS[5], life) end
end
local function block_field(token) return 'broken:' .. token end
local function block_token(token, life)
  local field = block_field(token)
  redis.call('HDEL', KEYS[5], field)
  redis.call('HSET', KEYS[5], field, string.format('%.0f', now() + life * 1000))
  extend_run_hash(life)
end
local function is_token_blocked(token) return redis.call('HGET', KEYS[5], block_field(token)) end
local function clear_run()
  local time, latest = now(), 0
  redis.call('HDEL', KEYS[5], 'token')
  for _, field in ipairs(redis.call('HKEYS', KEYS[5])) do
    local ends = field:match('^broken:') and tonumber(redis.call('HGET', KEYS[5], field)) or 0
    if ends <= time then redis.call('HDEL', KEYS[5], field) end
    latest = math.max(latest, ends)
  end
  if latest > time then
    redis.call('PEXPIRE', KEYS[5], math.ceil((latest - time) / 1000))
  end
end
local function may_store(holder, token, since)
  if is_token_blocked(token) then return false end
  if holder == token or since == 'any' then return true end
  return not holder and since ~= '' and not newer_than(since)
end
)";

/// ARGV: token, lease in ms. Takes the lock. Returns 0 if another process holds it, otherwise the
/// stored data: {seconds, microseconds, token of the meta, length of the value, {token, fate} of
/// the last outcome that is not an entry, remaining time in ms of the previous released marker},
/// with false for items that do not exist.
inline constexpr RedisScript acquire{holder_function, "", R"(
local held_by = holder()
if held_by and held_by ~= ARGV[1] then return 0 end
local marked = 0
if not held_by then
  marked = math.max(redis.call('PTTL', KEYS[2]), 0)
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
local time = redis.call('TIME')
local size = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('STRLEN', KEYS[1])
local run = redis.pcall('HMGET', KEYS[5], 'token', 'fate')
return {time[1], time[2], redis.call('HGET', KEYS[3], 'token'), size, not run.err and run,
  marked}
)"};

/// ARGV: token, lease in ms, when the lock was acquired, and until when this request may take a
/// lock that has vanished (evicted, server restarted), both in microseconds. Renews the lock, or
/// takes one that has vanished. It does not take the lock if the run has stored its outcome or
/// mark, even if the value has expired since, and it does not replace the released marker: a
/// renewal may arrive after the end of the run. A lock that expires later anyway, such as that of a
/// promise that others have renewed, is left unchanged. Returns "renewed", "lost", "broken" if
/// requests with the token are refused, or {seconds, microseconds} if the request arrived too late
/// to take the lock.
inline constexpr RedisScript renew{holder_function, shared_functions, R"(
local held_by = holder()
if is_token_blocked(ARGV[1]) then return 'broken' end
if not may_store(held_by, ARGV[1], ARGV[3]) then return 'lost' end
if not held_by and (redis.call('EXISTS', KEYS[2]) == 1 or is_of_this_run(KEYS[3])
                or is_of_this_run(KEYS[5]) or is_of_this_run(KEYS[8])) then
  return 'lost'
end
if not held_by then
  local time = redis.call('TIME')
  if time[1] * 1000000 + time[2] > tonumber(ARGV[4]) then return time end
end
if not held_by then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
elseif redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
if redis.call('HGET', KEYS[5], 'forgotten') == ARGV[1] then
  extend_run_hash(2 * ARGV[2])
end
return 'renewed'
)"};

/// ARGV: token, time in ms. Extends the lock to at least that time from now. Returns 1, or 0 if the
/// lock is lost.
inline constexpr RedisScript extend{holder_function, "", R"(
if holder() ~= ARGV[1] then return 0 end
local left = redis.call('PTTL', KEYS[2])
if left < 0 or left >= tonumber(ARGV[2]) then return 1 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
)"};

/// ARGV: token, when the lock was acquired in microseconds, how long to store the value in ms (0:
/// without expiry), where the value is ("here": in the next argument; "part": in the key upload),
/// the value, value_channel, state_channel, whether there are artifacts ("files" or ""), when the
/// run ended in microseconds, then fields and values of the meta. Stores the value, releases the
/// lock, and notifies the waiters. The released marker expires no later than the value: otherwise a
/// client of redis-memolock would wait for the message of a run that has ended. If the request
/// arrives late, the time since the end of the run is subtracted from the expiry of the value, but
/// at least a second remains for the waiters. Returns "stored", or why it did nothing: "lost",
/// "forgotten", "part" (the upload is missing, or another holder has written over it), "type" (a
/// key has a foreign type).
inline constexpr RedisScript commit{holder_function, shared_functions, R"(
local held_by = holder()
local function is_fit(key, type)
  local found = redis.call('TYPE', key).ok
  return found == type or found == 'none'
end
if not (is_fit(KEYS[1], 'string') and is_fit(KEYS[3], 'hash') and is_fit(KEYS[4], 'string')) then
  return 'type'
end
if redis.call('HGET', KEYS[3], 'token') == ARGV[1] then return 'stored' end
if not may_store(held_by, ARGV[1], ARGV[2]) then return lost() end
local run = redis.call('HMGET', KEYS[5], 'forgotten', 'part')
if run[1] == ARGV[1] then return 'forgotten' end
local function has_come(key) return run[2] == ARGV[1] and redis.call('EXISTS', key) == 1 end
local function put_in_place(key, name)
  redis.call('PERSIST', key)
  redis.call('RENAME', key, name)
end
if ARGV[4] ~= 'here' and not has_come(KEYS[6]) or ARGV[8] ~= '' and not has_come(KEYS[7]) then
  return 'part'
end
if ARGV[4] == 'here' then redis.call('SET', KEYS[1], ARGV[5]) else put_in_place(KEYS[6], KEYS[1]) end
if ARGV[8] == '' then redis.call('DEL', KEYS[4]) else put_in_place(KEYS[7], KEYS[4]) end
local time = now()
local ended = math.min(time, tonumber(ARGV[9]))
redis.call('DEL', KEYS[3])
clear_run()
redis.call('HSET', KEYS[3], 'ended', string.format('%.0f', ended), unpack(ARGV, 10))
if ARGV[4] == 'here' then redis.call('HSET', KEYS[3], 'sha1', redis.sha1hex(ARGV[5])) end
local marked = 500
if ARGV[3] ~= '0' then
  local life = math.min(ARGV[3], math.max(math.floor(ARGV[3] - (time - ended) / 1000), 1000))
  redis.call('PEXPIRE', KEYS[1], life)
  redis.call('PEXPIRE', KEYS[3], life + linger)
  redis.call('PEXPIRE', KEYS[4], life + linger)
  marked = math.min(marked, life)
end
if not held_by or held_by == ARGV[1] then redis.call('SET', KEYS[2], released, 'PX', marked) end
if ARGV[4] == 'here' then
  redis.pcall('PUBLISH', ARGV[6], ARGV[5])
else
  wake(ARGV[7], ARGV[1])
end
return 'stored'
)"};

/// ARGV: token, when the lock was acquired in microseconds, how long to store the outcome in ms,
/// state_channel, then fields and values of run_state. Stores the outcome in run_state instead of
/// as the entry, for that time or until the lock would have expired, whichever is later; releases
/// the lock, and notifies the waiters. Returns "shared" or "lost".
inline constexpr RedisScript share{holder_function, shared_functions, R"(
local held_by = holder()
if redis.call('HGET', KEYS[5], 'token') == ARGV[1] then return 'shared' end
if not may_store(held_by, ARGV[1], ARGV[2]) then return lost() end
local part = redis.call('HGET', KEYS[5], 'part')
clear_run()
redis.call('HSET', KEYS[5], 'ended', string.format('%.0f', now()), unpack(ARGV, 5))
local life = math.max(redis.call('PTTL', KEYS[2]), ARGV[3])
extend_run_hash(life)
if part == ARGV[1] then
  redis.call('PEXPIRE', KEYS[6], life)
  redis.call('PEXPIRE', KEYS[7], life)
end
if held_by == ARGV[1] then redis.call('DEL', KEYS[2]) end
wake(ARGV[4], ARGV[1])
return 'shared'
)"};

/// ARGV: token, when the lock was acquired in microseconds, how long to store the mark in ms (0:
/// without expiry), state_channel, then fields and values of the mark. Stores the mark of a run,
/// releases the lock, and notifies the waiters. If the lock has vanished, the mark is stored unless
/// a newer run has stored its mark. Even a server that is out of memory stores the mark, because
/// the script calls DEL first. Returns "stored", "lost" or "forgotten".
inline constexpr RedisScript mark{holder_function, shared_functions, R"(
local held_by = holder()
if redis.call('HGET', KEYS[8], 'token') == ARGV[1] then return 'stored' end
if is_token_blocked(ARGV[1]) then return 'lost' end
if held_by ~= ARGV[1] and (held_by or ARGV[2] == '') then return 'lost' end
if has_newer_mark(ARGV[2]) then
  if held_by then redis.call('DEL', KEYS[2]) end
  return 'lost'
end
local answer = 'forgotten'
if redis.call('HGET', KEYS[5], 'forgotten') ~= ARGV[1] then
  redis.call('DEL', KEYS[8])
  redis.call('HSET', KEYS[8], 'ended', string.format('%.0f', now()), unpack(ARGV, 5))
  if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[8], ARGV[3]) end
  answer = 'stored'
end
if held_by == ARGV[1] then redis.call('DEL', KEYS[2]) end
wake(ARGV[4], ARGV[1])
return answer
)"};

/// ARGV: token, state_channel, how long the lock remains in ms (0: it is deleted), how long the
/// released marker replaces it in ms, if there is a value (0: not at all). Ends a run without an
/// outcome. If the lock is deleted, a waiter takes over. If it still exists after the message, the
/// outcome could not be stored and will not be stored. This works even on a server that is out of
/// memory.
inline constexpr RedisScript release{holder_function, "", R"(
if holder() ~= ARGV[1] then return 0 end
if ARGV[3] ~= '0' then
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
else
  redis.call('DEL', KEYS[2])
  if ARGV[4] ~= '0' and redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SET', KEYS[2], released, 'PX', ARGV[4])
  end
end
wake(ARGV[2], ARGV[1])
return 1
)"};

/// ARGV: token, state_channel, for how long in ms a request of this run may still be in flight, how
/// long the released marker replaces the lock, as in `release`, and what the holder may have
/// stored: "entry", "outcome" (or a mark) or "nothing". Ends the run of a holder that was
/// interrupted during a request: deletes its upload and the data that it may have stored, but not
/// data that others have stored with its token; and blocks the token, so that requests that arrive
/// later are refused. Returns 1.
inline constexpr RedisScript withdraw{holder_function, shared_functions, R"(
if holder() == ARGV[1] then
  redis.call('DEL', KEYS[2])
  if ARGV[4] ~= '0' and redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SET', KEYS[2], released, 'PX', ARGV[4])
  end
end
if ARGV[5] == 'entry' and is_of_this_run(KEYS[3]) and is_own() then
  if not holder() then redis.call('DEL', KEYS[2]) end
  redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
end
lost()
if ARGV[5] ~= 'nothing' then
  if is_of_this_run(KEYS[5]) then clear_run() end
  if is_of_this_run(KEYS[8]) then redis.call('DEL', KEYS[8]) end
end
block_token(ARGV[1], ARGV[3])
wake(ARGV[2], ARGV[1])
return 1
)"};

/// ARGV: token. Deletes the data that was uploaded for this run. Returns "lost".
inline constexpr RedisScript discard{holder_function, shared_functions, R"(
return lost()
)"};

/// ARGV: lease in ms, whether to delete also foreign values ("1"), and whether to delete also keys
/// of types that memolock does not store there ("1"). Deletes the entry, a stored failure (fate 4,
/// see Disposition) and a mark, and records that the outcome of a run in progress must not be
/// stored. The released marker is deleted before the value, for the reason given at `commit`; if
/// the value is not deleted, neither is the marker. Returns 1; 0 if there was nothing to delete; or
/// "type" if it did nothing because of a key of such a type.
inline constexpr RedisScript forget{holder_function, shared_functions, R"(
local found = 0
local types = {'string', 'string', 'hash', 'string', 'hash', [8] = 'hash'}
for i, type in pairs(types) do
  local is = redis.call('TYPE', KEYS[i]).ok
  if is ~= type and is ~= 'none' then
    if ARGV[3] ~= '1' then return 'type' end
    found = found + redis.call('DEL', KEYS[i])
  end
end
found = found + redis.call('DEL', KEYS[8])
local held_by = holder()
if ARGV[2] == '1' or redis.call('EXISTS', KEYS[1]) == 0 or is_own() then
  if not held_by then redis.call('DEL', KEYS[2]) end
  found = found + redis.call('DEL', KEYS[1])
  redis.call('DEL', KEYS[3], KEYS[4])
end
if redis.call('HGET', KEYS[5], 'fate') == '4' then
  clear_run()
  found = found + 1
end
if held_by then
  redis.call('HSET', KEYS[5], 'forgotten', held_by)
  extend_run_hash(math.max(redis.call('PTTL', KEYS[2]), 0) + ARGV[1])
  found = 1
end
return math.min(found, 1)
)"};

/// ARGV: state_channel, for how long in ms a request of the holder may still be in flight after the
/// lock would have expired. Takes the lock from its holder, which detects this at its next renewal
/// or at the end of its run. Returns 1, or 0 if the lock is free.
inline constexpr RedisScript break_lock{holder_function, shared_functions, R"(
local held_by = holder()
if not held_by then return 0 end
local left = math.max(redis.call('PTTL', KEYS[2]), 0)
redis.call('DEL', KEYS[2])
block_token(held_by, left + ARGV[2])
wake(ARGV[1], held_by)
return 1
)"};

}  // namespace memolock::redis_scripts
