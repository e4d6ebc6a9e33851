#!/usr/bin/env bats
# A server that stops, closes connections or loses data while callers run, wait or store.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/faults

setup() {
  isolate
  use_own_id
  use_own_store
  export MEMOLOCK_STORE_TIMEOUT=4s MEMOLOCK_LEASE=8s
}

# ---- stopped ----

@test "a server that is stopped is waited for until the timeout, and then not used" {
  kill -STOP "$REDIS_PID"
  run --separate-stderr -7 get -- counted sh -c 'echo ours; exit 7'
  equal ours "$output"
  one_own_line "$stderr"
  contains "$stderr" 'no answer within 4s; running the command without the store'
  refused 'no answer within 4s' "$MEMOLOCK_BIN" get "${it[@]}" --on-store-error fail -- counted true
  ran_times 1
}

@test "a server that is stopped at the end of a run costs the result" {
  hold
  kill -STOP "$REDIS_PID"
  release a
  holder_has_not_stored 'no answer within 4s'
}

# is_asked: whether there are requests that the server has not read.
is_asked() { ss -xH src "$REDIS_SOCKET" | awk '{ unread += $3 } END { exit !unread }'; }

# asks_again: whether the holder has another connection than that in $asking.
asks_again() { [[ $(sockets "$holder") != "$asking" ]]; }

@test "a server that is stopped for a while affects no caller" {
  export MEMOLOCK_LEASE=18s MEMOLOCK_STORE_TIMEOUT=1m
  hold
  wait_for_it 5
  sees_renewals 1 # so that there is a connection for the next renewal
  kill -STOP "$REDIS_PID"
  # a renewal is not answered within a third of the lease
  await is_asked
  asking=$(sockets "$holder")
  await asks_again
  kill -CONT "$REDIS_PID"
  sees_renewals 3
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
  store_is_clean
}

@test "the age of a result that reaches the server late is correct, and waiters get it" {
  export MEMOLOCK_LEASE=1m MEMOLOCK_STORE_TIMEOUT=1m
  it=(--tag t --id "$id" --ttl 30s)
  hold
  wait_for_it 3
  # so that the next request is that of the holder
  for pid in "${waiters[@]}"; do await is_waiting "$pid"; done
  kill -STOP "$REDIS_PID"
  release a
  await is_asked
  sleep 3
  kill -CONT "$REDIS_PID"
  waiters_have held
  finish "$holder"
  equal 0 "$status"
  left=$(redis pttl "t:$id")
  ((0 < left && left <= 27000)) || fail "it expires in $left ms"
  it=(--tag t --id "$id" --ttl 3s)
  equal own "$(get -- counted echo own)"
  ran_times 2
}

@test "a result that reaches the server after its ttl stays there for a second, for the waiters" {
  export MEMOLOCK_LEASE=1m MEMOLOCK_STORE_TIMEOUT=1m
  it=(--tag t --id "$id" --ttl 1s)
  hold
  spawn_server redis-cli -s "$REDIS_SOCKET" monitor >seen
  await grep -q OK seen
  kill -STOP "$REDIS_PID"
  release a
  await is_asked
  sleep 1.5 # longer than the ttl
  kill -CONT "$REDIS_PID"
  finish "$holder"
  equal 0 "$status"
  await grep -qF "lua] \"PEXPIRE\" \"t:$id\" \"1000\"" seen
}

@test "waiters for a run on a stopped server share one run on this machine, and leave nothing behind" {
  hold
  wait_for_it 20
  kill -STOP "$REDIS_PID"
  all_wait_again
  release b
  waiters_have own
  waiters_were_told 'no answer within 4s'
  ran_times 2
  nothing_is_left_here
  kill -CONT "$REDIS_PID"
  release a
  holder_has_stored
  store_is_clean
}

@test "a waiter for a run on a stopped server continues within a lease and a half" {
  hold --lease 10s
  wait_for_it 1 --lease 10s
  spawn sleep 25 # and what a request may take
  two_leases=$!
  kill -STOP "$REDIS_PID"
  await test -e b.started
  ! is_gone $two_leases || fail 'too late'
  release b
  waiters_have own
  nothing_is_left_here
}

@test "a signal ends a waiter and a holder even if the server is stopped" {
  hold --lease 10m
  wait_for_it 1 --lease 10m --store-timeout 10m
  kill -STOP "$REDIS_PID"
  kill -TERM "${waiters[0]}"
  finish "${waiters[0]}"
  equal 143 "$status"
  kill -TERM "$holder"
  finish "$holder"
  equal 143 "$status"
  is_empty holder.out
}

# ---- connections closed ----

hang_up() { redis client kill skipme yes type "$1" >/dev/null; }

@test "waiters whose connections are closed still get the result" {
  export MEMOLOCK_LEASE=10m
  hold
  wait_for_it 10
  for _ in 1 2 3; do
    hang_up pubsub
    for pid in "${waiters[@]}"; do await is_waiting "$pid"; done
  done
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
  store_is_clean
}

@test "waiters whose connections were closed when the run ended get its result" {
  export MEMOLOCK_LEASE=10m
  hold
  wait_for_it 10
  for pid in "${waiters[@]}"; do kill -STOP "$pid"; done
  hang_up pubsub
  release a
  holder_has_stored
  for pid in "${waiters[@]}"; do kill -CONT "$pid"; done
  waiters_have held
  ran_times 1
}

@test "a holder whose connections are closed renews its lock, and stores its result" {
  hold
  token=$(redis get "t/lock:$id")
  for _ in 1 2 3; do
    hang_up normal
    sees_renewals 2
    equal "$token" "$(redis get "t/lock:$id")"
  done
  release a
  holder_has_stored
  store_is_clean
}

# ---- data lost ----

@test "scripts that the server has lost are sent again" {
  hold
  wait_for_it 2
  redis script flush >/dev/null
  sees_renewals 2
  redis script flush >/dev/null
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
}

@test "flushing the database during a run does not affect waiters" {
  export MEMOLOCK_LEASE=10m
  hold
  wait_for_it 5
  redis flushall >/dev/null
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
  store_is_clean
}

@test "a lock that was evicted during a run is acquired again" {
  # before the waiters look, which is when it would have expired
  hold --lease 18s
  wait_for_it 2 --lease 10m
  redis config set maxmemory-policy volatile-ttl maxmemory 1 >/dev/null
  await nobody_holds
  redis config set maxmemory 0 >/dev/null
  await is_running "$id"
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
  store_is_clean
}
