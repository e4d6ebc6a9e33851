#!/usr/bin/env bats
# --max-runtime and --max-entry.

load helpers/common

@test "--max-runtime stops the command, with 124 and nothing stored" {
  run -124 get --max-runtime 50ms -- counted sleep 60
  run -1 memolock get --tag t --id x
  ran_times 1
  store_is_clean
}

@test "--max-runtime lets a quicker command be" {
  run -0 get --max-runtime 1h -- echo quick
  equal quick "$output"
  run -0 memolock get --tag t --id x
}

@test "the output up to --max-runtime reaches the caller" {
  run --separate-stderr -124 get --max-runtime 300ms -- sh -c 'echo early; sleep 60'
  equal early "$output"
}

@test "--max-runtime stops what descends from the command too" {
  run -124 get --max-runtime 200ms -- sh -c 'setsid sh -c "echo \$\$ >far.pid; exec sleep 60" & sleep 60'
  is_gone "$(<far.pid)"
}

@test "--max-runtime spares what had been started by the process that became memolock" {
  spawn bash -c 'sleep 60 & echo $! >elder.pid
    exec "$0" get --tag t --id x --ttl 1h --max-runtime 100ms -- sleep 60' "$MEMOLOCK_BIN"
  finish $!
  equal 124 "$status"
  ! is_gone "$(<elder.pid)" || fail 'it was ended'
  kill "$(<elder.pid)"
}

@test "--max-runtime gives the command TERM first" {
  run --separate-stderr -124 get --max-runtime 200ms -- sh -c 'trap "echo bye; exit 0" TERM; while :; do sleep 0.01; done'
  equal bye "$output"
  run -1 memolock get --tag t --id x
}

# bats test_tags=slow
@test "--max-runtime kills what does not heed TERM" {
  run -124 get --max-runtime 100ms -- sh -c 'trap "" TERM; sh -c "echo \$\$ >deaf.pid; while :; do sleep 1; done"'
  is_gone "$(<deaf.pid)"
  store_is_clean
}

@test "--max-runtime stops a stopped command" {
  run -124 get --max-runtime 100ms -- sh -c 'kill -STOP $$'
}

@test "waiters of a run that was stopped at its limit take its 124" {
  spawn_get --max-runtime 500ms -- counted sleep 60
  await is_running x
  spawn_get -- counted true
  waiter=$!
  finish $waiter
  equal 124 "$status"
  ran_times 1
}

@test "--max-runtime does not limit a waiter" {
  spawn_get -- counted held a echo held
  await test -e a.started
  spawn_get -v --max-runtime 1ms -- counted true >out 2>err
  await is_waiting $!
  release a
  finish_all
  equal held "$(<out)"
}

@test "a result larger than --max-entry passes through, with one warning, and is not stored" {
  head -c 5000 /dev/urandom >large
  run -0 sh -c '"$0" get --tag t --id x --ttl 1h --max-entry 4999 -- cat large >out 2>err' "$MEMOLOCK_BIN"
  same_bytes large out
  one_own_line "$(<err)"
  contains "$(<err)" 'not stored'
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "a result of just --max-entry is stored" {
  run -0 get --max-entry 5000 -- head -c 5000 /dev/zero
  run -0 memolock get --tag t --id x
}

@test "both streams together count for --max-entry" {
  get --max-entry 99 -- sh -c 'printf %050d 1; printf %050d 2 >&2' >out 2>err
  equal 50 "$(wc -c <out)"
  contains "$(<err)" "$(printf %050d 2)"
  contains "$(<err)" 'not stored'
  run -1 memolock get --tag t --id x
}

@test "a result far larger than --max-entry comes through whole" {
  head -c 20000000 /dev/urandom >large
  get --max-entry 100KiB -- sh -c 'cat large; cat large >&2' >out 2>err
  same_bytes large out
  # the warning stands somewhere among the command's own bytes
  warning=$(grep -ao 'memolock: .*' err)
  equal $((20000000 + ${#warning} + 1)) "$(wc -c <err)"
}

@test "the exit status of a result larger than --max-entry is the command's" {
  run -9 get --max-entry 10 -- sh -c 'seq 1000; exit 9'
  equal 1000 "$(grep -c '^[0-9]*$' <<<"$output")"
}

@test "waiters run at once, uncached, when the holder's result grows too large" {
  spawn_get --max-entry 1000 -- counted held a sh -c 'head -c 5000 /dev/zero; exec held b true' >1.out 2>1.err
  await test -e a.started
  for i in 2 3; do
    spawn_get -- counted echo own >$i.out 2>$i.err
    await is_waiting $!
  done
  release a
  for i in 1 2; do
    finish "${spawned[i]}"
    equal 0 "$status"
  done
  [[ ! -e b.go ]]
  for i in 2 3; do equal own "$(<$i.out)"; done
  ran_times 3
  release b
  finish_all
  equal 5000 "$(wc -c <1.out)"
  store_is_clean
}

@test "a pipeline that would never end ends with its reader" {
  run -0 bash -c 'timeout 30 "$0" get --tag t --id x --ttl 1h --max-entry 64KiB -- yes 2>err | head -n 1; echo "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  equal $'y\n141' "$output"
  store_is_clean
}

@test "sizes may be written in many ways" {
  for size in 4096 10kB 1KiB 10MB 64MiB 1GiB; do
    run -0 memolock get --tag s --id $size --ttl 1h --max-entry $size -- echo 1
  done
  for size in '' x 1XB -1 1e99 '1 2'; do
    refused --max-entry memolock get --tag s --id x --ttl 1h --max-entry="$size" -- echo 1
  done
}
