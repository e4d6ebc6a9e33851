#!/usr/bin/env bats
# --stale-if-error: an old entry is served when the command fails or the wait times out.

load ../helpers/common

# old: stores an entry that is stale from now on.
old() {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- sh -c 'echo old; echo old err >&2' >/dev/null 2>&1
  sleep 0.01
}
on_error() { memolock get --tag t --id x --ttl 1h --stale-if-error 1h "$@"; }

@test "when the command fails, the old entry is served with its status" {
  old
  run --separate-stderr -0 on_error -- sh -c 'echo broken; echo why >&2; exit 3'
  equal old "$output"
  contains "$stderr" why
  contains "$stderr" 'old err'
  contains "$stderr" 'memolock: t:x: the command exited with status 3; served the stored entry ('
  store_is_clean
}

@test "the failure of the command is reported once, before the old entry is served" {
  old
  run --separate-stderr -0 on_error -v -- sh -c 'kill -KILL $$'
  contains "$stderr" 'memolock: t:x: the command was killed by signal KILL (9); served the stored entry ('
  run --separate-stderr -0 on_error --max-runtime 50ms -- sleep 60
  contains "$stderr" 'memolock: t:x: the command was stopped after --max-runtime 50ms'
  contains "$stderr" 'memolock: t:x: served the stored entry ('
  lacks "$stderr" status
}

@test "a command that is not found is a failure too" {
  old
  run --separate-stderr -0 on_error -- nowhere
  equal old "$output"
  # with the thread sanitizer vfork is a fork, and the reason of a failed exec is lost
  is_sanitized tsan || contains "$stderr" "cannot run 'nowhere'"
}

@test "a command that is stopped at its time limit is a failure too" {
  old
  equal old "$(on_error --max-runtime 50ms -- sh -c 'echo begun; exec sleep 60' 2>/dev/null)"
}

@test "when the command succeeds, the caller gets its output byte for byte" {
  old
  on_error -- sh -c 'printf "a\0b"; seq 100000; echo err >&2' >out 2>err
  sh -c 'printf "a\0b"; seq 100000' >expected
  same_bytes expected out
  equal err "$(<err)"
}

# bats test_tags=slow
@test "no output is lost, over many rounds" {
  local i
  for i in {1..200}; do
    equal "$i" "$(memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- echo "$i")"
  done
}

@test "a waiter whose holder fails gets the old entry" {
  old
  spawn_get --ttl 1h -- held a sh -c 'echo broken; exit 3' >holder.out
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale-if-error 1h -- counted false >waiter.out 2>waiter.err
  waiter=$!
  await is_waiting $waiter
  release a
  finish $waiter
  equal 0 "$status"
  equal old "$(<waiter.out)"
  contains "$(<waiter.err)" 'the command failed with status 3'
  finish "${spawned[0]}"
  equal broken "$(<holder.out)"
  ran_times 0
}

@test "when the wait times out, the old entry is served" {
  old
  spawn_get --ttl 1h -- held a true
  await test -e a.started
  run --separate-stderr -0 on_error --wait 10ms -- false
  equal old "$output"
  release a
}

@test "after its window, or without an old entry, the caller gets the failure" {
  run -3 on_error -- sh -c 'echo broken; exit 3'
  equal broken "$output"
  old
  run --separate-stderr -3 memolock get --tag t --id x --ttl 1h --stale-if-error 1ms -- sh -c 'echo broken; exit 3'
  equal broken "$output"
}

@test "output that is too large to store is passed on even if the command fails" {
  old
  run --separate-stderr -3 on_error --max-entry 100 -- sh -c 'seq 100; exit 3'
  equal "$(seq 100)" "$output"
  contains "$stderr" 'not stored'
}

@test "after an interrupt the command's output is passed on, and no old entry is served" {
  old
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale-if-error 1h -- sh -c 'echo begun; : >ready; exec sleep 60' >out 2>/dev/null
  await test -e ready
  kill -TERM $!
  finish $!
  equal 143 "$status"
  equal begun "$(<out)"
}

@test "an old entry that is served after a failure is reported as stale" {
  old
  on_error --report report -- false >/dev/null 2>&1
  contains "$(<report)" '"outcome":"stale"'
}

@test "-v reports once that the entry is not fresh" {
  get -- echo old >/dev/null
  run -0 --separate-stderr memolock get -v --tag t --id x --ttl 1ms --stale-if-error 1h -- echo new
  equal new "$output"
  equal 1 "$(grep -c 'not fresh' <<<"$stderr")"
}
