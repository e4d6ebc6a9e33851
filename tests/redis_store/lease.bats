#!/usr/bin/env bats
# The lock lives as long as its lease: renewed, expired, vanished, stolen, broken.
# store: redis

load ../helpers/common

# hold OPTION…: a holder at work on the entry, until `release a`; it will print "held".
hold() {
  spawn_get "$@" -- counted held a echo held >holder.out 2>holder.err
  holder=$!
  await test -e a.started
  token=$(redis get t/lock:x)
}

lock_is() { [[ $(redis get t/lock:x) == "$1" ]]; }

# ---- kept ----

# bats test_tags=slow
@test "the lock is its holder's while the command runs, for several leases" {
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
  hold --lease 5s
  spawn_get --lease 5s -- counted echo own >waiter.out
  await is_waiting $!
  sees_renewals 7
  release a
  finish_all
  equal held "$(<waiter.out)"
  ran_times 1
}

# bats test_tags=slow
@test "a reader who stalls does not cost the lease" {
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

# slow_holder CALL OPTION… -- COMMAND…: a `get` with a lease of 5 seconds in the background, whose main thread,
# and no other, is slow in that system call, as strace injects it.
slow_holder() {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  spawn strace -qq -o trace -e "trace=${1%%:*}" -e "inject=$1" "${slow_options[@]}" \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --lease 5s "${@:2}"
  slow=$!
}
slow_options=()

# keeps_its_lock: the lock is the holder's for longer than a lease.
keeps_its_lock() {
  await redis_has t/lock:x
  token=$(redis get t/lock:x)
  sees_renewals 4
  lock_is "$token"
}
redis_has() { (($(redis exists "$1") == 1)); }

# bats test_tags=slow
@test "the lock is its holder's while artifacts are packed, however short the command" {
  # 16 reads
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
@test "the lock is its holder's while a result of less than a MiB goes over a slow link" {
  # the requests before are the look-up and that for the lock
  slow_holder sendto:delay_enter=6000000:when=3+ -- counted head -c 900000 /dev/zero >out
  keeps_its_lock
  get -- counted echo own | cmp - out
  finish $slow
  equal 0 "$status"
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "the lock is its holder's while it looks at what has been stored just before" {
  slow_holder sendto:delay_enter=10000000:when=2..3 -- counted echo own >out
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
@test "the lock is its holder's while the reader of what -v says stalls" {
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

@test "a lock that is released expires for nobody: the next holder has it at once" {
  for i in 1 2 3; do equal $i "$(get --refresh --wait 0 -- echo $i)"; done
}

# lives_for_a_while: the lock would otherwise go soon.
lives_for_a_while() {
  left=$(redis pttl t/lock:x)
  ((left > 3000000)) || fail "it lives $left ms"
}

@test "renew never shortens the life of a lock, whoever runs it and whatever its lease is" {
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
  hold --lease 10s
  spawn_get --lease 10s -- counted sh -c 'redis-cli -s "$0" exists clock' "$REDIS_SOCKET" >waiter.out
  waiter=$!
  await is_waiting $waiter
  end $holder
  redis set clock runs px 15000 >/dev/null
  lock_is "$token"
  finish $waiter
  equal 1 "$(<waiter.out)"
  ran_times 2
  store_is_clean
}

@test "a lock that del --lock has broken is not taken back, and the result is not stored" {
  hold --lease 5s
  spawn_get -v -- counted echo own >waiter.out 2>waiter.err
  waiter=$!
  await is_waiting $waiter
  redis config resetstat >/dev/null
  equal 1 "$(memolock del --tag t --id x --lock)"
  finish $waiter
  equal own "$(<waiter.out)"
  await renewed 5 # of the waiter: the lock, its end; of del: two; and the holder's last
  release a
  finish $holder
  equal 0 "$status"
  equal held "$(<holder.out)"
  one_own_line "$(<holder.err)"
  equal own "$(memolock get --tag t --id x)"
  store_is_clean
}

@test "a holder that has not yet learned that del --lock broke its lock stores nothing" {
  hold --lease 10m
  equal 1 "$(memolock del --tag t --id x --lock)"
  release a
  finish $holder
  equal 0 "$status"
  one_own_line "$(<holder.err)"
  run -1 memolock get --tag t --id x
  store_is_clean
}

# What happens between the loss of a lock and the end of its run.
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
    memolock del --tag t --id x >/dev/null # what is newer would be reason enough
    # as long as it may be asked for, and no longer
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

@test "a holder whose lock del --lock broke learns it though another with a short lease is forgotten" {
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

@test "a refusal whose time is over goes with the next outcome" {
  redis hset t/run:x broken:old 1 >/dev/null
  get -- echo made >/dev/null
  equal 0 "$(redis exists t/run:x)"
}

@test "until the lease of a killed holder ends nobody takes over" {
  hold --lease 10m
  end $holder
  run -124 get --wait 50ms -- counted echo own
  equal 1 "$(memolock del --tag t --id x --lock)"
  equal own "$(get --wait 0 -- counted echo own)"
}

@test "a holder that slept through its lease stores nothing over the next one's result" {
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

@test "a holder that slept through its lease and was not missed stores its result" {
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

# vanished COMMAND…: a lock that vanishes by such a Redis command during the run is taken again.
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

@test "a lock that is deleted during the run is taken again, and the result stored" { vanished del t/lock:x; }
@test "a lock that a flushed database takes along is taken again, and the result stored" { vanished flushall; }

@test "a result is stored though its lock has vanished just before" {
  hold --lease 10m
  redis del t/lock:x >/dev/null
  release a
  finish_all
  is_empty holder.err
  equal held "$(memolock get --tag t --id x)"
  store_is_clean
}

@test "an older entry does not keep a holder from taking its vanished lock again" {
  get -- echo old
  hold --refresh --lease 300ms
  redis del t/lock:x >/dev/null
  await lock_is "$token"
  release a
  finish_all
  is_empty holder.err
  equal held "$(memolock get --tag t --id x)"
}

# ends_unstored: the holder ends as its command does, and says in one line that its result is not stored.
ends_unstored() {
  release a
  finish $holder
  equal 0 "$status"
  equal held "$(<holder.out)"
  one_own_line "$(<holder.err)"
  contains "$(<holder.err)" 'not stored'
}

# newer_value VALUE-COMMAND…: what stores another value while the lock is gone.
newer_value() {
  redis del t/lock:x >/dev/null
  "$@" >/dev/null
  ends_unstored
  await nobody_is_connected
  equal '' "$(holder)"
}

@test "another program's value is not overwritten by a holder whose lock has vanished" {
  hold --lease 10m
  newer_value redis set t:x theirs
  equal theirs "$(redis get t:x)"
  equal t:x "$(redis keys '*')"
}

@test "nor is one of the same length over an old entry of ours" {
  get -- echo same >/dev/null
  hold --refresh --lease 10m
  at_once 'del t/lock:x' 'set t:x SAME!'
  release a
  finish $holder
  contains "$(<holder.err)" 'not stored'
  equal 'SAME!' "$(redis get t:x)"
}

@test "another holder's result is not overwritten by a holder whose lock has vanished" {
  hold --lease 10m
  newer_value get -- echo next
  equal next "$(memolock get --tag t --id x)"
}

@test "a large result is not put over another program's value either, and nothing is left of it" {
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

@test "a lock that has vanished is not taken again when another program has stored a value" {
  hold --lease 300ms
  overtaken
  await renewed 1
  equal '' "$(holder)"
  release a
  finish_all
  equal theirs "$(redis get t:x)"
}

# overtaken: the lock vanishes and another program stores a value.
overtaken() { at_once 'del t/lock:x' 'set t:x theirs'; }

# ---- stolen ----

# stolen: by another, whose lock it is for an hour.
stolen() { at_once 'set t/lock:x another px 3600000'; }

# others_lock_is_whole: neither deleted nor renewed nor shortened.
others_lock_is_whole() {
  equal another "$(redis get t/lock:x)"
  left=$(redis pttl t/lock:x)
  ((left > 3000000)) || fail "it lives $left ms"
}

@test "a holder whose lock was stolen stores nothing, says so once, and leaves the other's lock alone" {
  hold --lease 300ms
  stolen
  await renewed 1
  ends_unstored
  equal 0 "$(redis exists t:x t/meta:x t/run:x)"
  others_lock_is_whole
}

@test "a holder that learns of the theft only at its run's end stores nothing either" {
  hold --lease 10m
  stolen
  release a
  finish $holder
  equal 0 "$status"
  one_own_line "$(<holder.err)"
  equal 0 "$(redis exists t:x t/meta:x t/run:x)"
  others_lock_is_whole
}

@test "once its lock was stolen a holder renews no more" {
  hold --lease 300ms
  stolen
  await renewed 1
  await unchanged renewals
  release a
  finish_all
}

# ended_otherwise COMMAND…: a run whose lock was stolen, and that would not be stored anyway.
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

@test "a failed, a large, a too large and an unkept result leave the other's lock alone" {
  ended_otherwise -- held a sh -c 'exit 3'
  equal 3 "$status"
  ended_otherwise -- held a head -c 2000000 /dev/zero
  ended_otherwise --ttl 0 -- held a echo unkept
  ended_otherwise --max-entry 10 -- held a seq 100
}

@test "an interrupted holder leaves the other's lock alone" {
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

# slow_get N…: a `get` in the background, its Nth requests delayed for 6 seconds each. $! is strace's.
slow_get() {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  spawn strace -f -qq -o trace -e trace=sendto,recvfrom -e "inject=sendto:delay_enter=6000000:when=$1" \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --lease 1m -- counted true
}
has_sent() { (($(grep -c 'sendto.* = [1-9]' trace) >= $1)); }
has_received() { (($(grep -c 'recvfrom.* = [1-9]' trace) >= $1)); }

# interrupted_at N: the server stops before the Nth request, which is then interrupted; the server goes on.
interrupted_at() {
  await has_received $(($1 - 1))
  kill -STOP "$REDIS_PID"
  await has_sent "$1" || true # a server that stays stopped would hold up all that follows
  kill -TERM "$(pgrep -P $!)"
  finish $!
  kill -CONT "$REDIS_PID"
  equal 143 "$status"
  await nobody_is_connected
  ran_times 0
}

# bats test_tags=slow
@test "an interrupt while the lock is being asked for leaves no lock" {
  slow_get 2
  interrupted_at 2
  equal '' "$(redis keys '*')"
}

# bats test_tags=slow
@test "an interrupt of one who has the lock, and looks for what is new, leaves no lock" {
  slow_get 2..3
  await has_received 1
  redis set t:x new >/dev/null
  interrupted_at 3
  equal t:x "$(redis keys '*')"
}

# bats test_tags=slow
@test "a caller that takes the lock, and finds what was stored just before, puts the released marker back" {
  local monitor
  slow_get 2
  await has_received 1
  spawn_server redis-cli -s "$REDIS_SOCKET" monitor >seen
  monitor=$!
  await grep -q OK seen
  redis set t:x new px 60000 >/dev/null
  redis set t/lock:x released px 60000 >/dev/null
  finish "${spawned[-1]}"
  end $monitor
  ran_times 0
  equal 1 "$(grep -c 'lua\] "SET" "t/lock:x" "released"' seen)"
  equal released "$(redis get t/lock:x)"
}

# ---- --on-lost-lease ----

# told_to_end COMMAND…: a command that says so when it gets TERM, and whose lease is lost by COMMAND.
told_to_end() {
  spawn_get --lease 1500ms --on-lost-lease kill -- \
    sh -c 'trap "echo heard; trap - TERM; kill -TERM \$\$" TERM; : >ready; while :; do sleep 0.01; done' \
    >holder.out 2>holder.err
  holder=$!
  await test -e ready
  "$@"
  finish $holder
  equal 143 "$status"
  equal heard "$(<holder.out)"
  one_own_line "$(grep '^memolock: ' holder.err)" # the shell may say that it was terminated
  contains "$(<holder.err)" lease
  equal 0 "$(redis exists t:x t/meta:x t/run:x)"
}

@test "--on-lost-lease kill stops the command when the lock was stolen, and nothing is stored" {
  told_to_end stolen
  others_lock_is_whole
}

@test "--on-lost-lease kill stops the command when something newer is stored" {
  spawn_get --lease 1500ms --on-lost-lease kill -- sh -c ': >ready; exec sleep 60' 2>holder.err
  await test -e ready
  overtaken
  finish $!
  equal 143 "$status"
  equal theirs "$(redis get t:x)"
}

@test "--on-lost-lease kill stops a command and what descends from it" {
  spawn_get --lease 1500ms --on-lost-lease kill -- \
    sh -c 'setsid sh -c "echo \$\$ >far.pid; exec sleep 60" & sleep 60' 2>/dev/null
  await test -s far.pid
  stolen
  finish $!
  equal 143 "$status"
  is_gone "$(<far.pid)"
}

@test "--on-lost-lease continue, the default, lets the command go on" {
  hold --lease 300ms --on-lost-lease continue
  stolen
  await renewed 1
  sleep 0.3
  is_empty holder.out
  release a
  finish_all
  equal held "$(<holder.out)"
}

@test "--on-lost-lease kill spares a command whose lock has only vanished" {
  hold --lease 5s --on-lost-lease kill
  redis del t/lock:x >/dev/null
  await lock_is "$token"
  release a
  finish_all
  equal held "$(memolock get --tag t --id x)"
}

# bats test_tags=slow
@test "a promise that is kept without a message is seen when its time is over" {
  redis acl setuser quiet on nopass resetchannels '~*' '+@all' >/dev/null
  export MEMOLOCK_STORE=redis+unix://quiet@$REDIS_SOCKET
  spawn_get --external --lease 8s -- held a true >out
  local holder=$!
  await test -e a.started
  release a
  kept() { [[ $(redis get t:x) == kept ]]; }
  # only what holds the lock may say so
  printf kept | memolock set --tag t --id x --ttl 1h --token "$(redis get t/lock:x)"
  await kept
  finish $holder
  equal 0 "$status"
  equal kept "$(<out)"
  redis acl deluser quiet >/dev/null
}

# last_renewal COMMAND…: runs memolock, whose command is to wait for the file "go" and to take the lease of 300 ms. Its
# last renewal is then in the file "renewal", for redis-cli; until when it may take a lock is in the variable "until".
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
  end $monitor
  grep -a "return 'renewed'" seen | tail -n 1 | sed 's/^[^]]*\] //' >renewal
  until=$(tail -n 1 renewal | sed 's/.*"\([0-9]*\)"$/\1/')
}

# renew_again: has the last renewal arrive once more, as from a network that has held it up. What the server says to it
# is in the variable "answer": "lost", or, if it has come too late to take a lock, the time.
renew_again() {
  answer=$(redis <renewal)
  equal '' "$(holder)"
  [[ $answer == lost || $(wc -l <<<"$answer") == 2 ]] || fail "$answer"
}

is_past() { (($(redis time | tr -d '\n') > $1)); }

@test "a renewal that arrives after the run's outcome or mark does not bring the lock back" {
  # shellcheck disable=SC2016
  local command=(--tag t --id x --lease 300ms -- sh -c 'until test -e go; do sleep 0.01; done; exit "$0"')
  for run in 'get --ttl 1h 3' 'get --ttl 0 0' 'get --ttl 1h --refresh 0' 'once --ttl 1h 0'; do
    # shellcheck disable=SC2086
    last_renewal ${run% *} "${command[@]}" "${run##* }"
    # at once, and as late as it may be
    renew_again
    await is_past "$until"
    renew_again
  done
}

@test "a renewal that arrives after a release without a trace, too late to take a lock, does not bring it back" {
  local command=(--tag t --id x --lease 300ms --on-lost-lease continue -- sh -c 'until test -e go; do sleep 0.01; done')
  for run in lock 'once --ttl 1ms'; do
    # shellcheck disable=SC2086
    last_renewal $run "${command[@]}"
    await is_past "$until"
    renew_again
    equal 2 "$(wc -l <<<"$answer")" # the time
  done
}
