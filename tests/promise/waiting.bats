#!/usr/bin/env bats
# One caller runs the command, and the others wait for it.

load ../helpers/common

# hold OPTION…: starts a holder of the entry, which runs until `release a` and prints "held".
hold() {
  spawn_get "$@" -- held a counted echo held >holder.out 2>holder.err
  await test -e a.started
}

@test "a waiter gets the holder's output" {
  hold
  spawn_get -- counted echo own >waiter.out
  await is_waiting $!
  release a
  finish_all
  equal held "$(<waiter.out)"
  equal held "$(<holder.out)"
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "many waiters get the holder's output" {
  hold
  for i in {1..20}; do
    spawn_get -- counted echo own >"waiter.$i"
  done
  for pid in "${spawned[@]:1}"; do await is_waiting "$pid"; done
  release a
  finish_all
  for i in {1..20}; do equal held "$(<"waiter.$i")"; done
  ran_times 1
}

@test "a waiter does not run its command while the holder runs" {
  hold
  spawn_get -- counted echo own >waiter.out
  await is_waiting $!
  equal 1 "$(memolock ls | grep -c running)"
  is_empty waiter.out
  ran_times 0
  release a
  finish_all
}

@test "callers of another entry do not wait" {
  hold
  run -0 memolock get --tag t --id other --ttl 1h -- echo other
  equal other "$output"
  release a
}

@test "waiting uses no processor time" {
  hold
  spawn_get -- false
  waiter=$!
  await is_waiting $waiter
  # it is not woken
  await unchanged grep ctxt "/proc/$waiter/status"
  release a
  finish_all
}

@test "after --wait the caller gets 124" {
  hold
  run --separate-stderr -124 get --wait 50ms -- counted echo own
  equal '' "$output"
  one_own_line "$stderr"
  release a
  finish_all
  ran_times 1
}

@test "--wait 0 does not wait" {
  hold
  run -124 get --wait 0 -- counted echo own
  release a
  finish_all
  ran_times 1
}

@test "--wait 0 runs the command if there is no holder" {
  run -0 get --wait 0 -- echo own
  equal own "$output"
}

@test "--wait 0 uses a fresh entry during a refresh" {
  get -- echo old
  hold --refresh
  run -0 get --wait 0 -- echo own
  equal old "$output"
  release a
}

@test "--wait does not limit the caller's own command" {
  run -0 get --wait 1ms -- sh -c 'sleep 0.1; echo ended'
  equal ended "$output"
}

@test "--on-timeout run runs the command and stores nothing" {
  hold
  run -0 get --wait 10ms --on-timeout run -- echo own
  equal own "$output"
  run -1 memolock get --tag t --id x
  release a
  finish_all
  equal held "$(memolock get --tag t --id x)"
}

@test "--on-timeout stale serves the expired entry" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- sh -c 'echo old; echo err >&2' 2>/dev/null
  hold --ttl 1ms
  run --separate-stderr -0 get --ttl 1ms --wait 10ms --on-timeout stale -- echo own
  equal old "$output"
  equal err "$stderr"
  release a
}

@test "--on-timeout stale gives 124 if there is no entry" {
  hold
  run --separate-stderr -124 get --wait 10ms --on-timeout stale -- echo own
  equal '' "$output"
  release a
}

@test "--on-timeout fail is the default" {
  hold
  run -124 get --wait 10ms --on-timeout fail -- echo own
  release a
}

@test "a look-up without --wait does not wait for a holder" {
  hold
  run --separate-stderr -1 memolock get --tag t --id x
  equal '' "$output$stderr"
  release a
}

@test "a look-up with --wait gets the holder's output" {
  hold
  spawn "$MEMOLOCK_BIN" get --tag t --id x --wait forever >waiter.out
  await is_waiting $!
  release a
  finish_all
  equal held "$(<waiter.out)"
}

@test "a look-up with --wait ends with 124 when that has passed" {
  hold
  run --separate-stderr -124 memolock get --tag t --id x --wait 20ms
  equal '' "$output"
  release a
}

# bats test_tags=slow
@test "a look-up that waits is not treated as a holder" {
  short_lease
  hold
  spawn "$MEMOLOCK_BIN" get --tag t --id x --wait forever
  look=$!
  await is_waiting $look
  bury "${spawned[0]}"
  run -0 get --wait 0 -- counted echo own
  equal own "$output"
  finish $look
}

# bats test_tags=slow
@test "a look-up with --wait exits with 1 if the holder died" {
  short_lease
  hold
  spawn "$MEMOLOCK_BIN" get --tag t --id x --wait forever
  look=$!
  await is_waiting $look
  kill -KILL "${spawned[0]}"
  finish $look
  equal 1 "$status"
}

# bats test_tags=slow
@test "a look-up with --wait continues when another holder takes over from a dead one, in several rounds" {
  short_lease
  late=0
  rounds=20
  ! on_redis || rounds=3
  for ((round = 1; round <= rounds; round++)); do
    rm -f ./*.started
    memolock del --tag t --id x >/dev/null
    spawn_get -- held a true
    holder=$!
    await test -e a.started
    waiters=()
    for _ in 1 2 3; do
      spawn_get -- echo taken >/dev/null
      waiters+=($!)
    done
    spawn "$MEMOLOCK_BIN" get --tag t --id x --wait forever >look.out
    look=$!
    for pid in "${waiters[@]}" $look; do await is_waiting "$pid"; done
    kill -KILL $holder
    finish $look
    # once, all waiters may be slower than the quarter of a second that the look-up gives them
    [[ $status == 1 ]] && ((late++ == 0)) || equal "$round: 0 taken" "$round: $status $(<look.out)"
    for pid in "${waiters[@]}"; do finish "$pid"; done
    spawned=()
  done
}

# bats test_tags=slow
@test "the ttl is counted from the end of the run" {
  outlives_its_run() {
    run -0 memolock get --tag t --id x --ttl 5s -- sh -c 'sleep 5.1; echo slow' \
      && run -0 memolock get --tag t --id x && equal slow "$output"
  }
  # again if there were 5 s between the two calls
  outlives_its_run || outlives_its_run
}
