#!/usr/bin/env bats
# The result of a failed run, for its waiters and for later callers.

load ../helpers/common

# hold COMMAND…: starts a holder whose command becomes COMMAND after `release a`.
hold() {
  spawn_get -- counted held a "$@" >holder.out 2>holder.err
  await test -e a.started
}

# for sh: run number N waits for `release aN`, and then becomes the rest of the line
nth='held "a$(wc -l <"$RUNS")"'

@test "a waiter gets the holder's failure with its output" {
  hold sh -c 'echo out; echo err >&2; exit 3'
  spawn_get -- counted true >waiter.out 2>waiter.err
  await is_waiting $!
  release a
  finish "${spawned[0]}"
  equal 3 "$status"
  finish "${spawned[1]}"
  equal 3 "$status"
  equal out "$(<waiter.out)"
  equal err "$(<waiter.err)"
  ran_times 1
}

@test "all waiters get the holder's failure" {
  hold sh -c 'exit 3'
  for _ in {1..10}; do spawn_get -- counted true; done
  for pid in "${spawned[@]:1}"; do await is_waiting "$pid"; done
  release a
  for pid in "${spawned[@]}"; do
    finish "$pid"
    equal 3 "$status"
  done
  ran_times 1
  store_is_clean
}

@test "later callers do not get a failure that was shared with waiters" {
  hold sh -c 'exit 3'
  spawn_get -- counted true
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 3 "$status"
  run -1 memolock get --tag t --id x
  run -0 get -- counted echo later
  equal later "$output"
  ran_times 2
}

@test "--on-failure share is the default" {
  hold sh -c 'exit 3'
  spawn_get --on-failure share -- counted true
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 3 "$status"
}

@test "--on-failure retry makes the waiter the next holder" {
  hold sh -c 'exit 3'
  spawn_get --on-failure retry -- counted echo mine >waiter.out
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 0 "$status"
  equal mine "$(<waiter.out)"
  ran_times 2
}

@test "waiters with --on-failure retry share the next run" {
  hold sh -c 'exit 3'
  for i in {1..5}; do
    spawn_get -v --on-failure retry -- counted held b echo mine >"waiter.$i" 2>"err.$i"
  done
  for pid in "${spawned[@]:1}"; do await is_waiting "$pid"; done
  release a
  await test -e b.started
  await began_to_wait 9 'err.*'
  release b
  finish_waiters
  equal 5 "$(cat waiter.* | grep -c mine)"
  ran_times 2
}

@test "--wait also limits a waiter that retries" {
  hold sh -c 'exit 3'
  spawn_get --on-failure retry --wait 1h -- counted echo mine >waiter.out
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 0 "$status"
}

@test "a look-up with --wait gets the failure" {
  hold sh -c 'echo out; exit 3'
  spawn "$MEMOLOCK_BIN" get --tag t --id x --wait forever >look.out
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 3 "$status"
  equal out "$(<look.out)"
}

# second_such_end_is_shared STATUS COMMAND…: asserts that a holder and five waiters run it twice in total.
second_such_end_is_shared() {
  local expected=$1 i
  shift
  for i in {1..6}; do
    spawn_get -v -- "$@" >"out.$i" 2>"err.$i"
    if ((i == 1)); then await test -e a1.started; else await is_waiting $!; fi
  done
  release a1
  await test -e a2.started
  await began_to_wait 9 'err.*'
  release a2
  for pid in "${spawned[@]}"; do
    finish "$pid"
    equal "$expected" "$status"
  done
  ran_times 2
}

@test "if a signal kills the command, one waiter runs it again, and a second such end is shared" {
  second_such_end_is_shared 137 counted sh -c "$nth sh -c 'kill -KILL \$\$'; kill -KILL \$\$"
}

@test "if a command cannot be started twice in a row, all callers get 127" {
  for _ in {1..8}; do spawn_get -- ./missing 2>/dev/null; done
  for pid in "${spawned[@]}"; do
    finish "$pid"
    equal 127 "$status"
  done
  store_is_clean
}

@test "if the second run succeeds, all waiters get its result" {
  hold sh -c 'kill -KILL $$'
  for i in {1..3}; do
    spawn_get -v -- counted held b echo mine >"out.$i" 2>"err.$i"
    await is_waiting $!
  done
  release a
  await test -e b.started
  await began_to_wait 5 'err.*'
  release b
  finish_waiters
  equal 3 "$(cat out.* | grep -c mine)"
  ran_times 2
}

@test "a failed refresh does not replace the old entry" {
  get -- echo old
  run -3 get --refresh -- sh -c 'echo bad; exit 3'
  equal bad "$output"
  equal old "$(memolock get --tag t --id x)"
}
