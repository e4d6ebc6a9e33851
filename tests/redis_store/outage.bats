#!/usr/bin/env bats
# A server that dies while callers run, wait or store, and in some tests comes back.
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

# ---- between requests ----

@test "a server that dies during a run costs the result, and is reported in one line" {
  hold
  end "$REDIS_PID"
  release a
  holder_has_not_stored 'connection refused'
}

@test "a server that dies during a run changes neither output nor status of a failed command" {
  spawn_get -- held a sh -c 'echo out; echo err >&2; exit 7' >holder.out 2>holder.err
  await test -e a.started
  end "$REDIS_PID"
  release a
  finish $!
  equal 7 "$status"
  equal out "$(<holder.out)"
  equal 1 "$(grep -cx err holder.err)"
  equal 2 "$(wc -l <holder.err)"
}

@test "a server that dies and comes back empty during a run stores the result" {
  hold
  end "$REDIS_PID"
  start_redis_again
  release a
  holder_has_stored
  store_is_clean
}

@test "a server that comes back within --store-timeout of a run's end stores the result" {
  hold --store-timeout 1m
  end "$REDIS_PID"
  release a
  is_at_the_end() { [[ -z $(pgrep -P "$holder" -x held) ]]; }
  await is_at_the_end
  start_redis_again
  holder_has_stored
  store_is_clean
}

@test "60 waiters for a run on a server that dies share one run on this machine" {
  hold
  wait_for_it 60
  end "$REDIS_PID"
  all_wait_again
  release b
  waiters_have own
  waiters_were_told 'connection refused'
  ran_times 2
  nothing_is_left_here
  release a
  holder_has_not_stored 'connection refused'
}

@test "60 callers of an unreachable server share one run on this machine" {
  end "$REDIS_PID"
  ask 60
  await began_to_wait 59 '[0-9]*.err'
  release b
  waiters_have own
  waiters_were_told 'connection refused'
  ran_times 1
  nothing_is_left_here
}

@test "60 waiters for a run on a server that dies and comes back empty get the result of that run" {
  export MEMOLOCK_LEASE=30s
  hold
  wait_for_it 60
  token=$(redis get "t/lock:$id")
  end "$REDIS_PID"
  start_redis_again
  is_held_again() { [[ $(redis get "t/lock:$id") == "$token" ]]; }
  await is_held_again
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
  store_is_clean
}

@test "waiters give a server that comes back time to load its data" {
  export MEMOLOCK_LEASE=30s
  hold
  wait_for_it 3 -vv
  begin_anew_slowly
  tried() { (($(grep -c 'LOADING.*trying again' 1.err) > 8)); } # more often than at the start of a call
  await tried
  hurry
  is_loaded() { [[ $(redis ping) == PONG ]]; }
  await is_loaded
  release a
  waiters_have held
  holder_has_stored
  ran_times 1
}

@test "a waiter takes over a run on another machine that dies with the server" {
  hold
  wait_for_it 3
  end "$holder"
  end "$REDIS_PID"
  start_redis_again
  await test -e b.started
  release b
  waiters_have own
  ran_times 2
  equal own "$(stored)"
  store_is_clean
}

@test "with --on-store-error fail a waiter exits with 125 when the server has died" {
  hold
  wait_for_it 2 --on-store-error fail
  end "$REDIS_PID"
  for i in 1 2; do
    finish "${waiters[i - 1]}"
    equal 125 "$status"
    is_empty $i.out
    contains "$(tail -n 1 $i.err)" "the store at $REDIS_SOCKET: connection refused"
  done
  ran_times 1
}

@test "a look-up that waits finds nothing when the server has died" {
  hold
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --wait forever >1.out 2>1.err
  await is_waiting $!
  end "$REDIS_PID"
  finish $!
  equal 1 "$status"
  is_empty 1.out
  one_own_line "$(<1.err)"
}

@test "--wait limits the time spent reconnecting to a server that has died" {
  hold
  wait_for_it 2 --lease 10m --wait 8s
  end "$REDIS_PID"
  for pid in "${waiters[@]}"; do
    finish "$pid"
    equal 124 "$status"
  done
  ran_times 1
}

@test "--wait limits the total of reconnecting to a server and waiting on this machine" {
  hold
  wait_for_it 2 --lease 8s --wait 20s
  spawn sleep 27
  both=$!
  end "$REDIS_PID"
  await test -e b.started
  await eval 'grep -q "timed out" 1.err 2.err'
  ! is_gone $both || fail 'it began anew'
  release b
  for pid in "${waiters[@]}"; do finish "$pid"; done
  nothing_is_left_here
}

@test "--wait also limits the wait for a run without the store" {
  end "$REDIS_PID"
  hold
  run -124 get --wait 50ms -- counted echo own
  release a
  finish "$holder"
  ran_times 1
}

@test "the command that starts a promise runs once, even if the server dies while another caller waits" {
  spawn_get --external --lease 12s -- counted sh -c ': >started' >out 2>err
  pid=$!
  await is_waiting "$pid"
  end "$REDIS_PID"
  finish "$pid"
  equal 125 "$status"
  is_empty out
  one_own_line "$(<err)"
  contains "$(<err)" 'connection refused'
  ran_times 1
}

# ---- between a request and its reply ----

pause_writes() { redis client pause 600000 write >/dev/null; }
# writers N: whether this many requests that write are blocked.
writers() { (($(redis info clients | tr -d '\r' | sed -n 's/^blocked_clients://p') == $1)); }

@test "a server that dies while the lock is acquired is not used any further" {
  export MEMOLOCK_STORE_TIMEOUT=1m
  pause_writes
  spawn_get -- counted sh -c 'echo ours; exit 7' >out 2>err
  await writers 1
  end "$REDIS_PID"
  finish $!
  equal 7 "$status"
  equal ours "$(<out)"
  one_own_line "$(<err)"
  contains "$(<err)" 'without the store'
  ran_times 1
}

# dies_over_the_end SIZE: kills the server after the request that stores the result is sent, and before the reply.
dies_over_the_end() {
  export MEMOLOCK_LEASE=10m
  spawn_get "${@:2}" -- held a head -c "$1" /dev/zero >out 2>err
  holder=$!
  await test -e a.started
  pause_writes
  release a
  await writers 1
  end "$REDIS_PID"
}

@test "a server that dies during a commit costs the result, not the output" {
  dies_over_the_end 10 --store-timeout 4s
  finish "$holder"
  equal 0 "$status"
  equal 10 "$(wc -c <out)"
  one_own_line "$(<err)"
  contains "$(<err)" 'not stored'
}

@test "a server that dies during a large commit costs the result, not the output" {
  dies_over_the_end 2000000 --store-timeout 4s
  finish "$holder"
  equal 0 "$status"
  equal 2000000 "$(wc -c <out)"
  one_own_line "$(<err)"
  contains "$(<err)" 'not stored'
}

@test "a server that dies during a commit and comes back stores the result" {
  dies_over_the_end 10 --store-timeout 1m
  start_redis_again
  finish "$holder"
  equal 0 "$status"
  equal 10 "$(wc -c <out)"
  is_empty err
  stored | cmp - <(head -c 10 /dev/zero)
  store_is_clean
}
