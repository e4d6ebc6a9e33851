#!/usr/bin/env bats
# Runs shared with clients of redis-memolock, which are simulated by the commands that its Go client sends. The client
# never deletes its lock.
# store: redis

load ../helpers/common

uuid=6ba7b810-9dad-41d1-80b4-00c04fd430c8

# its_lock MILLISECONDS: the client acquires the lock.
its_lock() { equal OK "$(redis set t/lock:x $uuid px "$1" nx)"; }

# its_value VALUE MILLISECONDS: the client stores and publishes a value.
its_value() {
  redis >/dev/null <<COMMANDS
set t:x $1 px $2
publish t/notif:x $1
COMMANDS
}

# its_waiter: the client waits for the values of a tag; the file "told" has its request and the messages that it gets.
its_waiter() {
  spawn redis-cli -s "$REDIS_SOCKET" psubscribe 't/notif:*' >told
  await grep -q psubscribe told
}

# told TEXT…: asserts that the client got exactly these messages for the entry. A last message marks the end.
told() {
  local payload
  redis publish t/notif:end of-it >/dev/null
  await grep -q of-it told
  {
    printf '%s\n' psubscribe 't/notif:*' 1
    for payload; do printf '%s\n' pmessage 't/notif:*' t/notif:x "$payload"; done
    printf '%s\n' pmessage 't/notif:*' t/notif:end of-it
  } >want
  same_bytes want told
}

is_absent() { equal 0 "$(redis exists "$1")" 2>/dev/null; }

# ---- the client's values ----

@test "the client's value is a hit, with status 0 and nothing on stderr" {
  its_lock 60000
  printf 'a\0b\n\n' | redis -x set t:x >/dev/null
  get --wait 0 -- counted false >out 2>err
  printf 'a\0b\n\n' | cmp - out
  is_empty err
  memolock get --tag t --id x >out 2>err
  printf 'a\0b\n\n' | cmp - out
  is_empty err
  ran_times 0
}

@test "the client's empty value is a hit" {
  redis set t:x '' >/dev/null
  get -- counted false >out
  is_empty out
}

# bats test_tags=slow
@test "the client's value is fresh until it expires, whatever the reader's ttl" {
  its_value theirs 60000
  run -0 memolock get --tag t --id x --ttl 1ms -- counted echo ours
  equal theirs "$output"
  redis pexpire t:x 100 >/dev/null
  has_expired() { [[ $(redis exists t:x) == 0 ]]; }
  await has_expired
  run -0 get -- echo ours
  equal ours "$output"
}

@test "the client's value is not used with --refresh" {
  its_value theirs 60000
  run -0 get --refresh -- echo ours
  equal ours "$output"
  equal ours "$(redis get t:x)"
}

# replaced_by TEXT: asserts that TEXT is a hit after the client has overwritten the result of a run with it.
replaced_by() {
  get -- sh -c 'printf ours; echo err >&2' 2>/dev/null
  redis set t:x "$1" >/dev/null
  run --separate-stderr -0 get -- counted false
  equal "$1" "$output"
  equal '' "$stderr"
  run --separate-stderr -0 memolock get --tag t --id x
  equal "$1" "$output"
  equal '' "$stderr"
}

@test "a client's value that replaces ours with the same length is read as the client's" { replaced_by them; }
@test "a client's value that replaces ours with another length is read as the client's" { replaced_by theirs; }

@test "the result of a run that replaces the client's value is ours again" {
  replaced_by theirs
  get --refresh -- sh -c 'echo new; echo err >&2' >/dev/null 2>&1
  run --separate-stderr -0 memolock get --tag t --id x
  equal new "$output"
  equal err "$stderr"
}

@test "ls shows the client's value with its tag and without an age" {
  its_value theirs 60000
  equal $'t\tx\tfresh\t-' "$(memolock ls --tag t | cut -f 1-4)"
}

@test "del --all does not remove a client's value that replaced ours with the same length" {
  get -- echo ours >/dev/null
  redis set t:x them! >/dev/null
  equal 0 "$(memolock del --all --tag t)"
  equal them! "$(redis get t:x)"
  equal 1 "$(memolock del --all --foreign --tag t)"
}

@test "del --all does not remove a client's value that replaced a large one of the same length" {
  memolock get --tag t --id x --ttl 1h -- head -c 2000000 /dev/zero >/dev/null
  head -c 2000000 /dev/zero | redis -x setex t:x 1000 >/dev/null
  equal 0 "$(memolock del --all --tag t)"
  equal 1 "$(memolock del --all --foreign --tag t)"
}

@test "a key of another type does not stop del --all, and is only removed with --foreign" {
  for id in b d; do memolock get --tag t --id $id --ttl 1h -- true; done
  for name in t:a t/meta:c t/run:c t/lock:e; do redis rpush "$name" theirs >/dev/null; done
  equal 2 "$(memolock del --all --tag t)"
  equal $'t/lock:e\nt/meta:c\nt/run:c\nt:a' "$(redis keys '*' | LC_ALL=C sort)"
  for id in a c e; do
    refused "t:$id" memolock del --tag t --id $id
    refused "t:$id" memolock del --tag t --id $id --dry-run
  done
  equal 3 "$(memolock del --all --foreign --tag t)"
  store_is_empty
}

# ---- the client's runs ----

@test "during the client's run we wait, and then use the value that it publishes" {
  its_lock 60000
  for i in 1 2 3; do
    spawn_get -- counted echo ours >"out.$i" 2>"err.$i"
    await is_waiting $!
  done
  its_value theirs 60000
  finish_all
  for i in 1 2 3; do
    equal theirs "$(<"out.$i")"
    is_empty "err.$i"
  done
  ran_times 0
  equal "$uuid" "$(redis get t/lock:x)"
}

@test "the client can publish a value before it is readable" {
  its_lock 60000
  spawn_get -- counted echo ours >out
  await is_waiting $!
  redis publish t/notif:x theirs >/dev/null
  its_value theirs 60000
  finish_all
  equal theirs "$(<out)"
  ran_times 0
}

# bats test_tags=slow
@test "a published message that is larger than --max-entry does not disturb a waiter" {
  its_lock 60000
  spawn_get --max-entry 100KiB -v -- counted echo ours >out 2>err
  await began_to_wait 1 err
  head -c 3000000 /dev/zero >big
  for _ in {1..5}; do redis -x publish t/notif:x <big >/dev/null; done
  its_value theirs 60000
  finish_all
  equal theirs "$(<out)"
  lacks "$(<err)" 'sent more'
  ran_times 0
}

# bats test_tags=slow
@test "a value that the client stores without publishing it is found when the client's lock expires" {
  its_lock 15000
  spawn_get -- counted echo ours >out
  await is_waiting $!
  redis set t:x theirs px 60000 >/dev/null
  finish_all
  equal theirs "$(<out)"
  ran_times 0
}

@test "a published value that replaced an expired one of ours is used" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- echo old
  await is_absent t/lock:x
  its_lock 60000
  spawn_get -- counted echo ours >out
  await is_waiting $!
  its_value theirs 60000
  finish_all
  equal theirs "$(<out)"
  ran_times 0
}

@test "when the client's lock expires, one of our callers takes over" {
  its_lock 500
  for i in 1 2 3; do spawn_get -- counted echo ours >"out.$i"; done
  finish_all
  for i in 1 2 3; do equal ours "$(<"out.$i")"; done
  ran_times 1
  store_is_clean
}

@test "a lock that the client has renewed is waited for" {
  its_lock 15000
  redis expire t/lock:x 60 >/dev/null
  spawn_get -- counted echo ours >out
  await is_waiting $!
  its_value theirs 60000
  finish_all
  equal theirs "$(<out)"
}

@test "a lock without an expiry is waited for, within --wait" {
  redis set t/lock:x $uuid nx >/dev/null
  run -124 get --wait 100ms -- counted echo ours
  spawn_get -- counted echo ours >out
  await is_waiting $!
  its_value theirs 60000
  finish_all
  equal theirs "$(<out)"
  ran_times 0
}

@test "-v reports that another program holds the lock, and ls shows its run" {
  its_lock 60000
  spawn_get -v -- false 2>err
  await began_to_wait 1 err
  contains "$(<err)" 'another program'
  equal $'t\tx\trunning\t-\t-\t0\t-' "$(memolock ls)"
  its_value theirs 60000
  finish_all
}

# ---- the released marker ----

# watch_markers: from now on the file "seen" has the commands that the server executes.
watch_markers() {
  spawn_server redis-cli -s "$REDIS_SOCKET" monitor >seen
  await grep -q OK seen
  looks=0
  redis echo look.0. >/dev/null
}

# has_left MARKER…: asserts that commits have left these markers in the lock since the last call, each given as a
# duration in milliseconds. Reads the executed commands, since a marker itself can expire too early to be seen.
has_left() {
  redis echo look.$((++looks)). >/dev/null
  await grep -q "look.$looks\." seen
  equal "$*" "$(sed -n "/look.$((looks - 1))\./,/look.$looks\./p" seen \
    | sed -n 's,.* lua\] "SET" "t/lock:x" "released" "PX" "\([0-9]*\)"$,\1,p' | paste -sd ' ')"
}

@test "a run that stores a value leaves the marker in the lock, for half a second or the life of the value" {
  watch_markers
  get -- echo ours
  has_left 500
  await is_absent t/lock:x
  # on a busy machine a part of this can pass between the run's end and the commit
  lives_as_long() {
    memolock get --tag t --id x --ttl 300ms --refresh -- echo ours || return
    has_left 300
  }
  await lives_as_long
  await is_absent t:x
  is_absent t/lock:x
}

@test "to the client the marker is a lock in use" {
  redis set t/lock:x released px 60000 >/dev/null
  equal '' "$(redis set t/lock:x $uuid px 60000 nx)"
  equal released "$(redis get t/lock:x)"
}

@test "a value that is stored after its lock has vanished leaves the marker too" {
  watch_markers
  spawn_get -- counted held a echo ours >out
  await test -e a.started
  redis del t/lock:x >/dev/null
  release a
  finish_all
  has_left 500
  await is_absent t/lock:x
  echo ours | memolock set --tag t --id x --ttl 1h
  has_left 500
}

@test "a run that stores no value leaves no marker" {
  watch_markers
  run -3 get -- sh -c 'exit 3'
  is_absent t/lock:x
  run -3 get --cache-failures 1h -- sh -c 'exit 3'
  is_absent t/lock:x
  memolock del --tag t --id x
  memolock get --tag t --id x --ttl 0 -- echo shared
  is_absent t/lock:x
  get --refresh --max-entry 1 -- echo large
  is_absent t/lock:x
  memolock once --tag t --id x --ttl 1h -- true
  is_absent t/lock:x
  memolock lock --tag t --id x -- true
  is_absent t/lock:x
  has_left
}

@test "every verb treats a lock with the marker as free" {
  # Without an expiry, unlike the marker of a commit, so that no verb just waits for its end.
  local mark=(redis set t/lock:x released)
  "${mark[@]}" >/dev/null
  run -1 memolock show --tag t --id x
  equal '' "$(memolock ls)"
  run -1 memolock get --tag t --id x --wait 10s
  equal 0 "$(memolock del --tag t --id x --dry-run)"
  equal 0 "$(memolock del --tag t --id x --lock)"
  for verb in renew fail; do run -1 memolock $verb --tag t --id x --token released; done
  "${mark[@]}" >/dev/null
  equal held "$(memolock lock --tag t --id x --wait 0 -- echo held)"
  "${mark[@]}" >/dev/null
  equal ran "$(memolock once --tag t --id x --ttl 1h -- echo ran)"
  "${mark[@]}" >/dev/null
  equal ours "$(get --wait 0 -- echo ours)"
  equal $'t\tx\tfresh' "$(memolock ls --tag t | cut -f 1-3 | grep -v mark | head -n 1)"
  "${mark[@]}" >/dev/null
  equal new "$(get --wait 0 --refresh -- echo new)"
}

@test "a stale entry is refreshed despite the marker" {
  memolock get --tag t --id x --ttl 1ms --stale 1h -- echo old >/dev/null
  redis set t/lock:x released >/dev/null
  equal old "$(memolock get --tag t --id x --ttl 1ms --stale 1h -- echo new)"
  await eval '[[ $(redis get t:x) == new ]]'
}

@test "del removes the marker with the value, so that the next caller runs immediately" {
  get -- echo ours
  redis set t/lock:x released px 60000 >/dev/null
  memolock del --tag t --id x
  is_absent t/lock:x
  its_lock 60000
}

@test "del removes the marker if there is no value" {
  redis set t/lock:x released px 60000 >/dev/null
  run -0 memolock del --tag t --id x
  is_absent t/lock:x
}

@test "del --all does not remove the marker of a value that it does not remove" {
  get -- echo ours
  redis set t:x them! >/dev/null
  redis set t/lock:x released px 60000 >/dev/null
  equal 0 "$(memolock del --all --tag t)"
  equal them! "$(redis get t:x)"
  equal released "$(redis get t/lock:x)"
  equal 1 "$(memolock del --all --foreign --tag t)"
  is_absent t/lock:x
}

@test "a renewal does not replace the marker" {
  watch_markers
  spawn_get --lease 10m --on-lost-lease continue -- counted held a echo ours >out
  await test -e a.started
  token=$(redis get t/lock:x)
  redis set t/lock:x released >/dev/null
  run -1 memolock renew --tag t --id x --token "$token"
  equal released "$(redis get t/lock:x)"
  release a
  finish_all
  has_left 500
}

# ---- the client's leftover lock ----

@test "the client's lock that remains after its value is stored is not treated as a run" {
  its_lock 60000
  its_value theirs 60000
  equal $'t\tx\tfresh' "$(memolock ls | cut -f 1-3)"
  run -0 memolock show --tag t --id x
  lacks "$output" running
  equal 1 "$(memolock show --tag t --id x --json | jq -s length)"
}

@test "ls and doctor report a client's lock that lasts for years, and how to remove it" {
  redis set t/lock:x $uuid px 300000000000 >/dev/null
  redis set t/lock:y $uuid >/dev/null
  redis set t/lock:z $uuid px 60000 >/dev/null
  its_value theirs 60000
  run -0 --separate-stderr memolock ls
  equal 2 "$(wc -l <<<"$stderr")"
  contains "$stderr" 'memolock: t:x is locked by another program for the next 34'
  contains "$stderr" 'memolock: t:y is locked by another program without an expiry'
  contains "$stderr" "'memolock del --lock'"
  run -0 --separate-stderr memolock ls -q
  equal '' "$stderr"
  run -0 memolock doctor --tag t
  contains "$output" 'is locked by another program'
  contains "$output" '; other such locks: 1; if'
  contains "$output" "'memolock del --lock'"
  for id in x y; do memolock del --lock --tag t --id $id; done
  run -0 memolock doctor --tag t
  contains "$output" 'no lock of another program lasts longer than a day'
}

# ---- our values ----

@test "the client finds our stdout as the value, and nothing else" {
  get -- sh -c 'printf "a\000b\n\n"; echo err >&2' >out 2>/dev/null
  redis get t:x >found
  echo >>out # redis-cli prints a newline after the value
  same_bytes out found
}

@test "for the client our value expires with the ttl" {
  memolock get --tag t --id x --ttl 1m -- echo ours >/dev/null
  left=$(redis pttl t:x)
  ((left > 50000 && left <= 60000))
  equal -1 "$(get --refresh -- true && redis pttl t:x)"
}

@test "the client is sent our stdout, byte for byte, when the run ends" {
  its_waiter
  spawn_get -- sh -c 'exec held a sh -c "printf \"two\nlines\"; echo err >&2"' >/dev/null 2>&1
  await test -e a.started
  equal '' "$(redis set t/lock:x $uuid px 60000 nx)"
  release a
  finish $!
  told $'two\nlines'
}

@test "the client is sent NUL bytes, and an empty value" {
  its_waiter
  get -- printf 'a\0b' >/dev/null
  await grep -qa '^a' told
  tail -n 1 told >payload
  printf 'a\0b\n' | cmp - payload
  get --refresh -- true
  redis publish t/notif:end of-it >/dev/null
  await grep -q of-it told
  equal $'pmessage\nt/notif:*\nt/notif:x\n\npmessage' "$(tail -n 8 told | head -n 5)"
}

@test "the client is sent a value of exactly 1 MiB" {
  its_waiter
  head -c 1048576 /dev/zero | tr '\0' x >large
  get -- cat large >/dev/null
  told "$(<large)"
}

@test "a value over 1 MiB is stored but not sent, and our waiters get it" {
  its_waiter
  head -c 1048577 /dev/zero | tr '\0' x >large
  spawn_get -- counted held a cat large >1.out
  holder=$!
  await test -e a.started
  spawn_get -- counted false >2.out
  await is_waiting $!
  release a
  for pid in $holder $!; do
    finish "$pid"
    equal 0 "$status"
  done
  same_bytes large 1.out
  same_bytes large 2.out
  ran_times 1
  told
  redis get t:x | cmp - <(cat large && echo)
}

# untold COMMAND…: asserts that its result is neither sent nor stored as a value.
untold() {
  get "$@" >/dev/null 2>&1 || true
  equal 0 "$(redis exists t:x)"
  run -1 memolock get --tag t --id x
}

@test "a result that is not stored is not sent to the client either" {
  its_waiter
  untold -- sh -c 'echo bad; exit 3'
  untold -- ./no-such-command
  untold -- sh -c 'echo bad; kill -KILL $$'
  untold --ttl 0 -- echo not-kept
  untold -- sh -c 'echo cache=no >>"$MEMOLOCK_CONTROL"; echo not-kept'
  untold --max-entry 3 -- echo too-long
  untold --max-runtime 50ms -- sh -c 'echo cut-short; sleep 60'
  told
}

@test "a result that is only shared with waiters is not sent to the client either" {
  its_waiter
  spawn_get --ttl 0 -- held a echo not-kept
  await test -e a.started
  spawn_get --ttl 0 -- false >out
  await is_waiting $!
  release a
  finish "${spawned[2]}"
  equal not-kept "$(<out)"
  equal 0 "$(redis exists t:x)"
  told
}

@test "a failed refresh does not replace the client's value, and sends nothing" {
  its_value theirs 60000
  its_waiter
  run -3 get --refresh -- sh -c 'echo bad; exit 3'
  equal theirs "$(redis get t:x)"
  run -0 memolock get --tag t --id x
  equal theirs "$output"
  told
}

# ---- keys of other types ----

# foreign_type NAME: asserts that the command runs if the key NAME has another type.
foreign_type() {
  local id=$BATS_TEST_NUMBER-$$-$RANDOM # all tests share the machine's own lock, which is used as a last resort
  redis rpush "$1$id" theirs >/dev/null
  run --separate-stderr -7 memolock get --tag t --id "$id" --ttl 1h -- sh -c 'echo ours; exit 7'
  equal ours "$output"
  one_own_line "$stderr"
  contains "$stderr" "$id"
  refused "$id" "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h --on-store-error fail -- counted true
  ran_times 0
  equal theirs "$(redis lrange "$1$id" 0 -1)"
}

@test "a key of another type in place of a value is reported and not changed" { foreign_type t:; }
@test "a key of another type in place of a meta is reported and not changed" { foreign_type t/meta:; }
@test "a key of another type in place of a lock is reported and not changed" { foreign_type t/lock:; }

# turns_foreign NAME SIZE: replaces the key NAME with one of another type during a run.
turns_foreign() {
  spawn_get -- held a head -c "$2" /dev/zero >out 2>err
  await test -e a.started
  spawn_get -- sh -c ': >ran' 2>/dev/null
  await is_waiting $!
  redis del "$1" >/dev/null
  redis rpush "$1" theirs >/dev/null
  release a
  finish_all
  equal "$2" "$(wc -c <out)"
  one_own_line "$(<err)"
  contains "$(<err)" 'not stored'
  test -e ran
  equal theirs "$(redis lrange "$1" 0 -1)"
  await nobody_holds
}

@test "a key that gets another type during a run is reported and not changed" { turns_foreign t:x 10; }
@test "a value that gets another type during a run with a large result is not changed" { turns_foreign t:x 2000000; }
@test "a meta that gets another type during a run is not changed" { turns_foreign t/meta:x 10; }
# bats test_tags=slow
@test "an outcome that gets another type during a run is reported and not changed" { turns_foreign t/run:x 10; }

# bats test_tags=slow
@test "no value outlives its meta, even if expiries shift a little when a slot moves" {
  get --ttl 8s -- sh -c 'echo out; echo err >&2' 2>/dev/null
  redis eval 'redis.call("PEXPIRE", KEYS[1], redis.call("PTTL", KEYS[1]) - 400)' 1 t/meta:x >/dev/null
  contains "$(memolock ls)" fresh
  while run --separate-stderr memolock get --tag t --id x && ((status == 0)); do
    equal out "$output"
    equal err "$stderr"
  done
}
