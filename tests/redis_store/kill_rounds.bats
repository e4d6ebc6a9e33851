#!/usr/bin/env bats
# A server that is killed at random moments, many times, while callers run.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/faults

setup() {
  isolate
  use_own_id
  use_own_store
  export MEMOLOCK_STORE_TIMEOUT=300ms MEMOLOCK_LEASE=300ms
}

# nap: sleeps for up to 64 ms.
nap() { sleep "$(printf '0.%04d' $((RANDOM % 640)))"; }

# The expected output of the command: enough lines for several writes, each with its word.
work='sleep 0.0$(($$ % 4)); seq -f "$0 %g" 200; seq -f "$0 %g" 201 400; echo "$0" >&2'
expected() { seq -f "$1 %g" 400; }

# begin_ten ROUND OPTION…: starts ten callers of one entry.
begin_ten() {
  local i
  pids=()
  for ((i = 1; i <= 10; i++)); do
    "$MEMOLOCK_BIN" get --tag t --id "$id.$1" --ttl 1h "${@:2}" -- counted sh -c "$work" "$1" \
      >"$i.out" 2>"$i.err" 3>&- &
    pids+=($!)
  done
}

# ten_have ROUND: asserts that each caller ended with status 0, the whole output once, and at most one warning.
ten_have() {
  local i
  for ((i = 1; i <= 10; i++)); do
    finish "${pids[i - 1]}"
    equal "$1: 0" "$1: $status"
    expected "$1" | cmp - "$i.out"
    equal "$1" "$(grep -v '^memolock: ' "$i.err")"
    (($(wc -l <"$i.err") <= 2)) || fail "$(<"$i.err")"
  done
}

# all_is_well ROUND: ten_have, and the entry is stored.
all_is_well() {
  ten_have "$1"
  equal "$(expected "$1")" "$(memolock get --tag t --id "$id.$1" --on-store-error fail --store-timeout 30s 2>/dev/null)"
  await nobody_holds # the lock of a caller whose release was not answered in time remains for a lease
  store_is_clean
}

# finds_whole ROUND: asserts that the entry, if it exists, is complete.
finds_whole() {
  run memolock get --tag t --id "$id.$1" --on-store-error fail --store-timeout 30s
  ((status == 1)) || expected "$1" | cmp - <(memolock get --tag t --id "$id.$1" --store-timeout 30s)
}

@test "ten callers of a server that is killed and restarted at any moment get the output, in 40 rounds" {
  for round in {1..40}; do
    begin_ten "$round"
    nap
    end "$REDIS_PID"
    start_redis_again
    ten_have "$round"
    finds_whole "$round"
    await nobody_holds # as in all_is_well
    store_is_clean
  done
  nothing_is_left_here
}

@test "ten callers of a server that is killed at any moment and not restarted get the output, in 30 rounds" {
  for round in {1..30}; do
    : >"$RUNS"
    begin_ten "$round"
    nap
    end "$REDIS_PID"
    ten_have "$round"
    start_redis_again
  done
  nothing_is_left_here
}

@test "ten callers of a server that keeps closing all connections get the output, in 30 rounds" {
  for round in {1..30}; do
    begin_ten "$round" --store-timeout 30s
    for _ in 1 2 3; do
      sleep "0.00$((RANDOM % 10))"
      redis client kill skipme yes type normal >/dev/null
      redis client kill type pubsub >/dev/null
    done
    all_is_well "$round"
  done
  nothing_is_left_here
}

@test "ten callers of a server that is stopped for short times get the output, in 30 rounds" {
  for round in {1..30}; do
    begin_ten "$round" --store-timeout 30s
    for _ in 1 2 3; do
      sleep "0.00$((RANDOM % 10))"
      kill -STOP "$REDIS_PID"
      sleep "0.0$((RANDOM % 10))"
      kill -CONT "$REDIS_PID"
    done
    all_is_well "$round"
  done
  nothing_is_left_here
}
