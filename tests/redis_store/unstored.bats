#!/usr/bin/env bats
# A run at whose end the server refuses requests, or keys have another type: its result, and what its waiters get.
# store: redis

load ../helpers/common
load ../helpers/faults

setup() {
  isolate
  use_own_id
}

# impatient: sets a short timeout, for refusals that can be temporary and are tried again until the timeout.
impatient() { export MEMOLOCK_STORE_TIMEOUT=4s; }

# ---- a server that refuses the result ----

# run_with_waiters N SIZE: starts a holder that prints SIZE bytes after `release a`, and N waiters whose command has the
# same output.
run_with_waiters() {
  local i
  spawn_get -- counted held a head -c "$2" /dev/zero >0.out 2>0.err
  await test -e a.started
  for ((i = 1; i <= $1; i++)); do
    spawn_get -- counted head -c "$2" /dev/zero >"$i.out" 2>"$i.err"
    await is_waiting $!
  done
}

# all_have N SIZE: asserts that all exit with 0 and print the whole output once.
all_have() {
  local i
  finish_all
  for ((i = 0; i <= $1; i++)); do cmp "$i.out" <(head -c "$2" /dev/zero); done
}

# no_room SIZE: removes the server's free memory before the run ends, which takes far less than a lease.
no_room() {
  use_own_store
  export MEMOLOCK_LEASE=10m
  run_with_waiters 3 "$1"
  redis config set maxmemory 1 >/dev/null
  release a
  all_have 3 "$1"
  one_own_line "$(<0.err)"
  contains "$(<0.err)" 'not stored'
  contains "$(<0.err)" OOM
  for i in 1 2 3; do is_empty "$i.err"; done
  ran_times 4
  await nobody_holds
  equal 0 "$(redis exists "t:$id" "t/meta:$id" "t/part:$id")"
  store_is_clean
}

@test "a result without room on the server is passed on, and its waiters run the command immediately" { no_room 10; }
@test "a large result without room is passed on, and its waiters run the command immediately" { no_room 2000000; }

# bats test_tags=slow
@test "a result that the server cannot save is passed on; then waiters share a run without the store" {
  impatient
  use_own_store
  export MEMOLOCK_LEASE=5s
  run_with_waiters 3 10
  cannot_save
  release a
  all_have 3 10
  one_own_line "$(<0.err)"
  contains "$(<0.err)" 'not stored'
  contains "$(<0.err)" MISCONF
  for i in 1 2 3; do
    one_own_line "$(<"$i.err")"
    contains "$(<"$i.err")" 'without the store'
  done
  nothing_is_left_here
  await nobody_holds
}

# bats test_tags=slow
@test "a result for a server that became a replica is passed on; then waiters continue without the store" {
  impatient
  use_own_store
  export MEMOLOCK_LEASE=5s
  run_with_waiters 2 10
  redis replicaof 127.0.0.1 1 >/dev/null
  release a
  all_have 2 10
  one_own_line "$(<0.err)"
  contains "$(<0.err)" 'not stored'
  contains "$(<0.err)" READONLY
  for i in 1 2; do
    one_own_line "$(<"$i.err")"
    contains "$(<"$i.err")" READONLY
  done
  nothing_is_left_here
}

# gets_result_late ERROR COMMAND…: the server refuses the result with ERROR, and stores it after COMMAND.
gets_result_late() {
  release a
  await grep -q "$1.*trying again" err
  redis "${@:2}" >/dev/null
  finish_all
  equal ours "$(<out)"
  lacks "$(<err)" 'not stored'
  equal ours "$(stored)"
  store_is_clean
}

# begin_patient_run: starts a run that ends after `release a`, of a caller that tries again for a minute.
begin_patient_run() {
  use_own_store
  export MEMOLOCK_STORE_TIMEOUT=1m
  spawn_get -vv -- held a echo ours >out 2>err
  await test -e a.started
}

@test "a replica that becomes the primary again in time stores the result" {
  begin_patient_run
  redis replicaof 127.0.0.1 1 >/dev/null
  gets_result_late READONLY replicaof no one
}

@test "a primary without the replicas that it requires stores the result when they are there" {
  begin_patient_run
  redis config set min-replicas-to-write 1 >/dev/null
  gets_result_late NOREPLICAS config set min-replicas-to-write 0
}

@test "the result of a run without successful renewals is stored when the server accepts it again" {
  use_own_store
  spawn_get --lease 300ms -- held a echo ours >out 2>err
  await test -e a.started
  redis config set maxmemory 1 >/dev/null
  redis del "t/lock:$id" >/dev/null
  renewals_fail() { redis info errorstats | grep -q errorstat_OOM; }
  await renewals_fail
  redis config set maxmemory 0 >/dev/null
  release a
  finish_all
  is_empty err
  equal ours "$(stored)"
  store_is_clean
}

# ---- keys of other types ----

@test "a key of another type in place of a large value's temporary key is reported and not changed" {
  use_own_store
  redis rpush "t/part:$id" theirs >/dev/null
  run_with_waiters 1 2000000
  release a
  all_have 1 2000000
  one_own_line "$(<0.err)"
  contains "$(<0.err)" 'not stored'
  equal theirs "$(redis lrange "t/part:$id" 0 -1)"
  equal -1 "$(redis pttl "t/part:$id")"
  equal 0 "$(redis exists "t:$id")"
}

# bats test_tags=slow
@test "a key of another type in place of the outcome is reported to a waiter and not changed" {
  use_own_store
  redis rpush "t/run:$id" theirs >/dev/null
  spawn_get -- held a echo ours >out 2>err
  await test -e a.started
  run --separate-stderr -0 get -- echo own
  equal own "$output"
  one_own_line "$stderr"
  contains "$stderr" WRONGTYPE
  refused WRONGTYPE "$MEMOLOCK_BIN" get "${it[@]}" --on-store-error fail -- true
  release a
  finish_all
  equal ours "$(<out)"
  one_own_line "$(<err)"
  equal theirs "$(redis lrange "t/run:$id" 0 -1)"
  await nobody_holds
}

@test "output that does not fit into a temporary file is passed on, and the warning says where it did not fit" {
  use_own_store
  small_disk size=16k
  TMPDIR=$PWD/small run --separate-stderr -0 get -- sh -c 'head -c 100000 /dev/zero | tr "\0" a'
  equal 100000 "${#output}"
  equal "memolock: t:$id: not stored: cannot write to a temporary file in TMPDIR or /tmp: No space left on device" "$stderr"
}
