#!/usr/bin/env bats
# A lock and its lease: renewed, expired, vanished, stolen, broken.
# store: redis

load ../helpers/common

# hold OPTION…: starts a holder of the entry, which runs until `release a` and prints "held".
hold() {
  spawn_get "$@" -- counted held a echo held >holder.out 2>holder.err
  holder=$!
  await test -e a.started
  token=$(redis get t/lock:x)
}

lock_is() { [[ $(redis get t/lock:x) == "$1" ]]; }

# ---- renewed ----

# bats test_tags=slow
@test "the holder keeps its lock while the command runs, for several leases" {
  hold --lease 5s
  sees_renewals 7
  lock_is "$token"
  run -124 get --wait 0 -- counted echo own
  release a
  finish_all
  equal held "$(memolock get --tag t --id x)"
  is_empty holder.err
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "a waiter waits for several leases" {
  hold --lease 8s
  spawn_get --lease 8s -- counted echo own >waiter.out
  await is_waiting $!
  sees_renewals 7
  release a
  finish_all
  equal held "$(<waiter.out)"
  ran_times 1
}

# bats test_tags=slow
@test "a stalled reader does not cost the lease" {
  mkfifo pipe
  exec 4<>pipe
  spawn_get --lease 5s -- sh -c 'seq 200000; held a true' >pipe
  await test -e a.started
  token=$(redis get t/lock:x)
  sees_renewals 7
  lock_is "$token"
  release a
  await nobody_holds
}

# slow_holder CALL OPTION… -- COMMAND…: starts a `get` with a lease of 5 seconds, whose main thread alone is delayed in
# that system call by strace.
slow_holder() {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  spawn strace -qq -o trace -e "trace=${1%%:*}" -e "inject=$1" "${slow_options[@]}" \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --lease 5s "${@:2}"
  slow=$!
}
slow_options=()

# keeps_its_lock: asserts that the holder keeps its lock for longer than a lease.
keeps_its_lock() {
  await redis_has t/lock:x
  token=$(redis get t/lock:x)
  sees_renewals 4
  lock_is "$token"
}
redis_has() { (($(redis exists "$1") == 1)); }

# bats test_tags=slow
@test "the holder keeps its lock while artifacts are packed, however short the command" {
  # reads 16 times
  slow_options=(-P "$PWD/big")
  slow_holder pread64:delay_enter=800000 --artifact big -- counted sh -c 'head -c 4M /dev/zero >big'
  await grep -q pread64 trace
  keeps_its_lock
  equal '' "$(get --artifact big -- counted echo own)"
  finish $slow
  equal 0 "$status"
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "the holder keeps its lock while a result of less than a MiB is sent over a slow link" {
  # the first two requests are the look-up and the one for the lock
  slow_holder sendto:delay_enter=6000000:when=3+ -- counted head -c 900000 /dev/zero >out
  keeps_its_lock
  get -- counted echo own | cmp - out
  finish $slow
  equal 0 "$status"
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "the holder keeps its lock while it reads an entry that was stored just before" {
  slow_holder sendto:delay_enter=15000000:when=2..3 -- counted echo own >out
  await grep -q 'sendto' trace
  await redis_answered 1
  redis set t:x new >/dev/null
  keeps_its_lock
  finish $slow
  equal new "$(<out)"
  ran_times 0
}
redis_answered() { (($(grep -c 'sendto.* = [1-9]' trace) >= $1)); }

# bats test_tags=slow
@test "the holder keeps its lock while the reader of messages of -v stalls" {
  mkfifo pipe
  exec 4<>pipe
  head -c 65536 /dev/zero >&4
  spawn_get -v --lease 5s -- counted echo made >out 2>pipe
  keeps_its_lock
  ran_times 0
  head -c 65536 <&4 >/dev/null
  finish_all
  equal made "$(<out)"
  ran_times 1
}

@test "the next holder can acquire a released lock immediately" {
  for i in 1 2 3; do equal $i "$(get --refresh --wait 0 -- echo $i)"; done
}

# lives_for_a_while: asserts that the lock will not expire soon.
lives_for_a_while() {
  left=$(redis pttl t/lock:x)
  ((left > 3000000)) || fail "it lives $left ms"
}

@test "renew never shortens the life of a lock, whatever the holder and its lease" {
  for verb in 'get --ttl 1h' lock; do
    # shellcheck disable=SC2086
    spawn "$MEMOLOCK_BIN" $verb --tag t --id x --lease 1h -- held a true
    holder=$!
    await test -e a.started
    token=$(redis get t/lock:x)
    memolock renew --tag t --id x --token "$token"
    lives_for_a_while
    memolock renew --tag t --id x --token "$token" --lease 1s
    lives_for_a_while
    release a
    finish $holder
    rm a.started a.go
    memolock del --tag t --id x >/dev/null
  done
  redis set t/lock:x endless >/dev/null
  memolock renew --tag t --id x --token endless
  equal -1 "$(redis pttl t/lock:x)"
}

# ---- expired ----

# bats test_tags=slow
@test "when a holder is killed a waiter takes over within a lease and a half" {
  hold --lease 12s
  spawn_get --lease 12s -- counted sh -c 'redis-cli -s "$0" exists clock' "$REDIS_SOCKET" >waiter.out
  waiter=$!
  await is_waiting $waiter
  end $holder
  redis set clock runs px 18000 >/dev/null
  lock_is "$token"
  finish $waiter
  equal 1 "$(<waiter.out)"
  ran_times 2
  store_is_clean
}

@test "a lock that del --lock broke is not taken again, and the result is not stored" {
  hold --lease 5s
  spawn_get -v -- counted echo own >waiter.out 2>waiter.err
  waiter=$!
  await is_waiting $waiter
  redis config resetstat >/dev/null
  equal 1 "$(memolock del --tag t --id x --lock)"
  finish $waiter
  equal own "$(<waiter.out)"
  await renewed 5 # of the waiter: acquire and publish; of del: two; and the last one of the holder
  release a
  finish $holder
  equal 0 "$status"
  equal held "$(<holder.out)"
  one_own_line "$(<holder.err)"
  equal own "$(memolock get --tag t --id x)"
  store_is_clean
}

@test "a holder that does not know yet that del --lock broke its lock stores nothing" {
  hold --lease 10m
  equal 1 "$(memolock del --tag t --id x --lock)"
  release a
  finish $holder
  equal 0 "$status"
  one_own_line "$(<holder.err)"
  run -1 memolock get --tag t --id x
  store_is_clean
}

# What can happen between the loss of a lock and the end of its run.
another_stores() { get -- echo next >/dev/null; }
another_fails() { run -3 get --cache-failures 1d -- sh -c 'exit 3'; }
another_loses_its_lock() {
  spawn_get --lease 10m -- held b true
  await test -e b.started
  equal 1 "$(memolock del --tag t --id x --lock)"
  release b
  finish $!
}

@test "a holder whose lock del --lock broke stores nothing, whatever happens before its run ends" {
  for between in another_stores another_fails another_loses_its_lock; do
    hold --lease 10m
    equal 1 "$(memolock del --tag t --id x --lock)"
    $between
    memolock del --tag t --id x >/dev/null # a newer entry would already prevent storing
    # for as long as the holder could ask, and not longer
    left=$(redis pttl t/run:x)
    ((left > 600000 && left < 700000)) || fail "$between: refused for $left ms"
    release a
    finish $holder
    equal "$between: 0" "$between: $status"
    contains "$(<holder.err)" 'not stored'
    run -1 memolock get --tag t --id x
    redis flushall >/dev/null
    rm a.started a.go
  done
}

@test "the record that del --lock broke a lock outlives that of another lock with a shorter lease" {
  hold --lease 10m
  equal 1 "$(memolock del --tag t --id x --lock)"
  spawn_get --lease 300ms -- held b true
  await test -e b.started
  memolock del --tag t --id x >/dev/null
  sees_renewals 2
  left=$(redis pttl t/run:x)
  ((left > 600000)) || fail "refused for $left ms"
  release a
  release b
  finish_all
}

@test "an expired record of a broken lock is removed with the next outcome" {
  redis hset t/run:x broken:old 1 >/dev/null
  get -- echo made >/dev/null
  equal 0 "$(redis exists t/run:x)"
}

@test "no caller takes over before the lease of a killed holder ends" {
  hold --lease 10m
  end $holder
  run -124 get --wait 50ms -- counted echo own
  equal 1 "$(memolock del --tag t --id x --lock)"
  equal own "$(get --wait 0 -- counted echo own)"
}

@test "a holder that was suspended beyond its lease does not overwrite the next holder's result" {
  hold --lease 300ms
  kill -STOP $holder
  await nobody_holds
  equal next "$(get -- counted echo next)"
  release a
  kill -CONT $holder
  finish $holder
  equal 0 "$status"
  equal held "$(<holder.out)"
  one_own_line "$(<holder.err)"
  equal next "$(memolock get --tag t --id x)"
  store_is_clean
}

@test "a holder that was suspended beyond its lease stores its result if no other caller has run" {
  hold --lease 300ms
  kill -STOP $holder
  await nobody_holds
  release a
  kill -CONT $holder
  finish $holder
  is_empty holder.err
  equal held "$(memolock get --tag t --id x)"
}

# ---- vanished ----

# vanished COMMAND…: asserts that a lock removed by this Redis command during the run is acquired again.
vanished() {
  hold --lease 5s
  redis "$@" >/dev/null
  await lock_is "$token"
  run -124 get --wait 0 -- counted echo own
  release a
  finish_all
  equal held "$(<holder.out)"
  is_empty holder.err
  equal held "$(memolock get --tag t --id x)"
  ran_times 1
  store_is_clean
}

@test "a lock that is deleted during the run is acquired again, and its result stored" { vanished del t/lock:x; }
@test "a lock that is removed by flushing the database is acquired again, and its result stored" { vanished flushall; }

@test "a result is stored even if its lock has just vanished" {
  hold --lease 10m
  redis del t/lock:x >/dev/null
  release a
  finish_all
  is_empty holder.err
  equal held "$(memolock get --tag t --id x)"
  store_is_clean
}

@test "an older entry does not prevent a holder from acquiring its vanished lock again" {
  get -- echo old
  hold --refresh --lease 300ms
  redis del t/lock:x >/dev/null
  await lock_is "$token"
  release a
  finish_all
  is_empty holder.err
  equal held "$(memolock get --tag t --id x)"
}

# ends_unstored: asserts that the holder passes on its output, and reports in one line that the result is not stored.
ends_unstored() {
  release a
  finish $holder
  equal 0 "$status"
  equal held "$(<holder.out)"
  one_own_line "$(<holder.err)"
  contains "$(<holder.err)" 'not stored'
}

# newer_value COMMAND…: COMMAND stores another value after the lock has vanished.
newer_value() {
  redis del t/lock:x >/dev/null
  "$@" >/dev/null
  ends_unstored
  await nobody_is_connected
  equal '' "$(holder)"
}

@test "a holder whose lock has vanished does not overwrite another program's value" {
  hold --lease 10m
  newer_value redis set t:x theirs
  equal theirs "$(redis get t:x)"
  equal t:x "$(redis keys '*')"
}

@test "nor one of the same length that replaced an old entry of ours" {
  get -- echo same >/dev/null
  hold --refresh --lease 10m
  at_once 'del t/lock:x' 'set t:x SAME!'
  release a
  finish $holder
  contains "$(<holder.err)" 'not stored'
  equal 'SAME!' "$(redis get t:x)"
}

@test "a holder whose lock has vanished does not overwrite another holder's result" {
  hold --lease 10m
  newer_value get -- echo next
  equal next "$(memolock get --tag t --id x)"
}

@test "a large result does not overwrite another program's value either, and leaves nothing behind" {
  spawn_get --lease 10m -- held a head -c 2000000 /dev/zero >holder.out 2>holder.err
  await test -e a.started
  redis del t/lock:x >/dev/null
  redis set t:x theirs >/dev/null
  release a
  finish_all
  contains "$(<holder.err)" 'not stored'
  equal theirs "$(redis get t:x)"
  equal t:x "$(redis keys '*')"
}

@test "a vanished lock is not acquired again if another program has stored a value" {
  hold --lease 300ms
  overtaken
  await renewed 1
  equal '' "$(holder)"
  release a
  finish_all
  equal theirs "$(redis get t:x)"
}

# overtaken: makes the lock vanish, and stores a value of another program.
overtaken() { at_once 'del t/lock:x' 'set t:x theirs'; }

# ---- stolen ----

# stolen: replaces the lock with that of another program, for an hour.
stolen() { at_once 'set t/lock:x another px 3600000'; }

# others_lock_is_whole: asserts that it is neither deleted nor renewed nor shortened.
others_lock_is_whole() {
  equal another "$(redis get t/lock:x)"
  left=$(redis pttl t/lock:x)
  ((left > 3000000)) || fail "it lives $left ms"
}

@test "a holder whose lock was stolen stores nothing, reports that once, and does not change the other lock" {
  hold --lease 300ms
  stolen
  await renewed 1
  ends_unstored
  equal 0 "$(redis exists t:x t/meta:x t/run:x)"
  others_lock_is_whole
}

@test "a holder that notices the theft only at the end of its run stores nothing either" {
  hold --lease 10m
  stolen
  release a
  finish $holder
  equal 0 "$status"
  one_own_line "$(<holder.err)"
  equal 0 "$(redis exists t:x t/meta:x t/run:x)"
  others_lock_is_whole
}

@test "a holder does not renew a stolen lock" {
  hold --lease 300ms
  stolen
  await renewed 1
  # one that is not answered in time is repeated; otherwise there would be ten per second
  await unchanged renewals
  release a
  finish_all
}

# ended_otherwise COMMAND…: a run whose lock is stolen, and whose result is not stored for another reason.
ended_otherwise() {
  spawn_get --lease 10m "$@" >/dev/null 2>holder.err
  await test -e a.started
  stolen
  release a
  finish $!
  equal 0 "$(redis exists t:x t/meta:x t/run:x t/part:x)"
  others_lock_is_whole
  rm a.started a.go
  redis del t/lock:x >/dev/null
}

@test "results that are failed, large, too large or not to be stored do not affect the lock of the thief" {
  ended_otherwise -- held a sh -c 'exit 3'
  equal 3 "$status"
  ended_otherwise -- held a head -c 2000000 /dev/zero
  ended_otherwise --ttl 0 -- held a echo unkept
  ended_otherwise --max-entry 10 -- held a seq 100
}

@test "an interrupted holder does not affect the lock of the thief" {
  hold --lease 10m
  stolen
  kill -TERM $holder
  finish $holder
  equal 143 "$status"
  others_lock_is_whole
}

@test "waiters of a holder whose lock was stolen wait for the thief" {
  hold --lease 5s
  spawn_get -v -- counted echo own >waiter.out 2>waiter.err
  waiter=$!
  await began_to_wait 1 waiter.err
  stolen
  release a
  finish $holder
  await began_to_wait 2 waiter.err
  redis set t:x theirs >/dev/null
  redis publish t/notif:x theirs >/dev/null
  finish $waiter
  equal theirs "$(<waiter.out)"
  ran_times 1
}

# ---- interrupted ----

# slow_get N…: starts a `get` whose Nth requests are delayed by 6 seconds each. $! is the pid of strace.
slow_get() {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  spawn strace -f -qq -o trace -e trace=sendto,recvfrom -e "inject=sendto:delay_enter=6000000:when=$1" \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --lease 1m -- counted true
}
has_sent() { (($(grep -c 'sendto.* = [1-9]' trace) >= $1)); }
has_received() { (($(grep -c 'recvfrom.* = [1-9]' trace) >= $1)); }

# interrupted_at N: stops the server before the Nth request, interrupts the caller during it, and continues the server.
interrupted_at() {
  await has_received $(($1 - 1))
  kill -STOP "$REDIS_PID"
  await has_sent "$1" || true # if the server remained stopped, all later steps would hang
  kill -TERM "$(pgrep -P $!)"
  finish $!
  kill -CONT "$REDIS_PID"
  equal 143 "$status"
  await nobody_is_connected
  ran_times 0
}

# leaves KEYS COMMAND…: asserts that COMMAND leaves these keys, in one of three attempts: a call that is interrupted, and
# then stands still for 0.4 s, does not release its lock.
leaves() {
  local tries
  for tries in 1 2 3; do
    redis flushall >/dev/null
    "${@:2}"
    [[ $(redis keys '*') != "$1" ]] || return 0
  done
  fail "$tries times, at last: $(redis keys '*')"
}

# bats test_tags=slow
@test "an interrupt during the request for the lock leaves no lock" {
  request() {
    slow_get 2
    interrupted_at 2
  }
  leaves '' request
}

# bats test_tags=slow
@test "an interrupt during the second look-up, under the lock, leaves no lock" {
  look_up() {
    slow_get 2..3
    await has_received 1
    redis set t:x new >/dev/null
    interrupted_at 3
  }
  leaves t:x look_up
}

# bats test_tags=slow
@test "a caller that acquires the lock and then finds a new entry restores the released marker" {
  local monitor
  slow_get 2
  await has_received 1
  spawn_server redis-cli -s "$REDIS_SOCKET" monitor >seen
  monitor=$!
  await grep -q OK seen
  redis set t:x new px 60000 >/dev/null
  redis set t/lock:x released px 60000 >/dev/null
  finish "${spawned[-1]}"
  redis echo over >/dev/null
  await grep -q '"over"' seen
  end $monitor
  ran_times 0
  equal 1 "$(grep -c 'lua\] "SET" "t/lock:x" "released"' seen)"
  equal released "$(redis get t/lock:x)"
}

# ---- --on-lost-lease ----

# told_to_end COMMAND…: a command that reports TERM, and whose lease is lost by COMMAND.
told_to_end() {
  spawn_get --lease 5s --on-lost-lease kill -- \
    sh -c 'trap "echo heard; trap - TERM; kill -TERM \$\$" TERM; : >ready; while :; do sleep 0.01; done' \
    >holder.out 2>holder.err
  holder=$!
  await test -e ready
  "$@"
  finish $holder
  equal 143 "$status"
  equal heard "$(<holder.out)"
  one_own_line "$(grep '^memolock: ' holder.err)" # the shell can add a line when the command is killed
  contains "$(<holder.err)" lease
  equal 0 "$(redis exists t:x t/meta:x t/run:x)"
}

# bats test_tags=slow
@test "--on-lost-lease kill stops the command when the lock was stolen, and nothing is stored" {
  told_to_end stolen
  others_lock_is_whole
}

# bats test_tags=slow
@test "--on-lost-lease kill stops the command when a newer result is stored" {
  spawn_get --lease 5s --on-lost-lease kill -- sh -c ': >ready; exec sleep 60' 2>holder.err
  await test -e ready
  overtaken
  finish $!
  equal 143 "$status"
  equal theirs "$(redis get t:x)"
}

# bats test_tags=slow
@test "--on-lost-lease kill stops a command and its descendants" {
  spawn_get --lease 5s --on-lost-lease kill -- \
    sh -c 'setsid sh -c "echo \$\$ >far.pid; exec sleep 60" & sleep 60' 2>/dev/null
  await test -s far.pid
  stolen
  finish $!
  equal 143 "$status"
  is_gone "$(<far.pid)"
}

@test "--on-lost-lease continue, the default, lets the command continue" {
  hold --lease 300ms --on-lost-lease continue
  stolen
  await renewed 1
  sleep 0.3
  is_empty holder.out
  release a
  finish_all
  equal held "$(<holder.out)"
}

@test "--on-lost-lease kill does not stop a command whose lock has only vanished" {
  hold --lease 8s --on-lost-lease kill
  redis del t/lock:x >/dev/null
  await lock_is "$token"
  release a
  finish_all
  equal held "$(memolock get --tag t --id x)"
}

# bats test_tags=slow
@test "the result of a promise is found without a message when the lease ends" {
  redis acl setuser quiet on nopass resetchannels '~*' '+@all' >/dev/null
  export MEMOLOCK_STORE=redis+unix://quiet@$REDIS_SOCKET
  spawn_get --external --lease 8s -- held a true >out
  local holder=$!
  await test -e a.started
  release a
  kept() { [[ $(redis get t:x) == kept ]]; }
  # only with the token of the lock
  printf kept | memolock set --tag t --id x --ttl 1h --token "$(redis get t/lock:x)"
  await kept
  finish $holder
  equal 0 "$status"
  equal kept "$(<out)"
  redis acl deluser quiet >/dev/null
}

# last_renewal COMMAND…: runs memolock, whose command must wait for the file "go" and whose lease must be 300 ms. The
# file "renewal" then has its last renewal, for redis-cli; $until is the time until which that can acquire a lock.
last_renewal() {
  local monitor
  rm -f go
  spawn_server redis-cli -s "$REDIS_SOCKET" monitor >seen
  monitor=$!
  await grep -q OK seen
  spawn "$MEMOLOCK_BIN" "$@"
  await grep -qa "return 'renewed'" seen
  : >go
  finish "${spawned[-1]}"
  equal '' "$(holder)"
  redis echo over >/dev/null
  await grep -qa '"over"' seen
  end $monitor
  grep -a "return 'renewed'" seen | tail -n 1 | sed 's/^[^]]*\] //' >renewal
  until=$(tail -n 1 renewal | sed 's/.*"\([0-9]*\)"$/\1/')
}

# renew_again: sends the last renewal again, as if the network had delayed it. $answer is the server's reply: "lost", or
# the time if the renewal was too late to acquire a lock.
renew_again() {
  answer=$(redis <renewal)
  equal '' "$(holder)"
  [[ $answer == lost || $(wc -l <<<"$answer") == 2 ]] || fail "$answer"
}

is_past() { (($(redis time | tr -d '\n') > $1)); }

@test "a renewal that arrives after the outcome or mark of the run does not restore the lock" {
  # shellcheck disable=SC2016
  local command=(--tag t --id x --lease 300ms -- sh -c 'until test -e go; do sleep 0.01; done; exit "$0"')
  for run in 'get --ttl 1h 3' 'get --ttl 0 0' 'get --ttl 1h --refresh 0' 'once --ttl 1h 0'; do
    # shellcheck disable=SC2086
    last_renewal ${run% *} "${command[@]}" "${run##* }"
    # immediately, and as late as possible
    renew_again
    await is_past "$until"
    renew_again
  done
}

@test "a renewal that arrives after a release without an outcome, too late to acquire a lock, has no effect" {
  local command=(--tag t --id x --lease 300ms --on-lost-lease continue -- sh -c 'until test -e go; do sleep 0.01; done')
  for run in lock 'once --ttl 1ms'; do
    # shellcheck disable=SC2086
    last_renewal $run "${command[@]}"
    await is_past "$until"
    renew_again
    equal 2 "$(wc -l <<<"$answer")" # the time
  done
}
