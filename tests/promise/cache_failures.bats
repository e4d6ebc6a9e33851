#!/usr/bin/env bats
# --cache-failures: a failed run is stored for a while, in addition to an entry.

load ../helpers/common

fails() { memolock get --tag t --id x --ttl 1h --cache-failures 1h "$@"; }
broken='echo out; echo err >&2; exit 3'

@test "a failure is stored: the next caller gets its streams and status without a run" {
  for _ in 1 2 3; do
    run --separate-stderr -3 fails -- counted sh -c "$broken"
    equal out "$output"
    equal err "$stderr"
  done
  ran_times 1
  store_is_clean
}

@test "a large failure is stored too" {
  for _ in 1 2; do
    run -3 fails -- counted sh -c 'head -c 1500000 /dev/zero | tr "\0" x; exit 3'
    equal 1500000 "${#output}"
  done
  ran_times 1
}

@test "without the option no failure is stored" {
  run -3 get --ttl 1h -- counted sh -c "$broken"
  run -3 get --ttl 1h -- counted sh -c "$broken"
  ran_times 2
}

@test "a failure is used for its own time, or the reader's if that is shorter" {
  run -3 memolock get --tag t --id x --ttl 1h --cache-failures 1ms -- counted sh -c "$broken"
  sleep 0.01
  run -3 fails -- counted sh -c "$broken"
  ran_times 2
  run -3 memolock get --tag t --id x --ttl 1h --cache-failures 1ms -- counted sh -c "$broken"
  ran_times 3
}

@test "--refresh ignores a stored failure" {
  run -3 fails -- sh -c "$broken"
  equal mended "$(fails --refresh -- echo mended)"
}

@test "a success replaces a stored failure" {
  run -3 fails -- sh -c "$broken"
  equal mended "$(fails --refresh -- echo mended)"
  equal mended "$(fails -- false)"
  equal fresh "$(memolock ls | cut -f 3)"
}

@test "a failure is stored next to a usable entry, and delays the next attempt" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- echo old >/dev/null
  sleep 0.01
  for _ in 1 2 3; do
    equal old "$(fails --stale-if-error 1h -- counted sh -c "$broken" 2>/dev/null)"
  done
  ran_times 1
  # a caller that accepts no older entry gets the failure
  run -3 --separate-stderr fails -- counted sh -c "$broken"
  equal out "$output"
  ran_times 1
}

@test "a failure that is older than the entry is ignored" {
  run -3 fails -- counted sh -c "$broken"
  echo set | memolock set --tag t --id x --ttl 1ms --stale 1h
  sleep 0.01
  equal new "$(fails -- counted echo new)"
  ran_times 2
}

@test "ls shows a stored failure, and del removes it" {
  run -3 fails -- counted sh -c "$broken"
  equal $'t\tx\tfailed' "$(memolock ls | cut -f 1-3)"
  equal 1 "$(memolock del --tag t --id x --dry-run)"
  equal 1 "$(memolock del --tag t --id x)"
  equal '' "$(memolock ls)"
  run -3 fails -- counted sh -c "$broken"
  ran_times 2
  equal 1 "$(memolock del --all --tag t)"
  equal '' "$(memolock ls)"
  store_is_clean
}

@test "other programs do not see a failure as a value" {
  on_redis || skip 'other programs share a server alone'
  run -3 fails -- sh -c "$broken"
  equal 0 "$(redis exists t:x t/meta:x)"
}

@test "cache=no prevents a failure from being stored" {
  for _ in 1 2; do run -3 fails -- counted sh -c 'echo cache=no >>"$MEMOLOCK_CONTROL"; exit 3'; done
  ran_times 2
}

@test "a damaged failure is ignored" {
  on_redis && skip 'a server damages nothing'
  run -3 fails -- counted sh -c "$broken"
  change_byte "$MEMOLOCK_CACHE_DIR/t/x.failed" 100
  truncate -s -1 "$MEMOLOCK_CACHE_DIR/t/x.failed"
  run -3 fails -- counted sh -c "$broken"
  ran_times 2
}

@test "waiters share a failure that is stored" {
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --cache-failures 1h -- counted held a sh -c "$broken" >/dev/null 2>&1
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted false >waiter.out 2>waiter.err
  waiter=$!
  await is_waiting $waiter
  release a
  finish $waiter
  equal 3 "$status"
  equal out "$(<waiter.out)"
  ran_times 1
}
