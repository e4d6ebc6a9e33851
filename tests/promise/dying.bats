#!/usr/bin/env bats
# A holder that dies leaves nothing that requires manual clean-up.

load ../helpers/common

setup() {
  isolate
  use_store
  short_lease
}

hold() {
  spawn_get "$@" -- counted held a echo held
  await test -e a.started
}

# bats test_tags=slow
@test "a waiter runs the command when the holder dies" {
  hold
  spawn_get -- counted echo mine >waiter.out
  await is_waiting $!
  end "${spawned[0]}"
  finish "${spawned[1]}"
  equal 0 "$status"
  equal mine "$(<waiter.out)"
  ran_times 2
  store_is_clean
}

# bats test_tags=slow
@test "of many waiters one runs the command when the holder dies" {
  hold
  for i in {1..20}; do
    spawn_get -v -- counted held b echo mine >"out.$i" 2>"err.$i"
    await is_waiting $!
  done
  end "${spawned[0]}"
  await test -e b.started
  await began_to_wait 39 'err.*'
  release b
  finish_waiters
  equal 20 "$(cat out.* | grep -c mine)"
  ran_times 2
}

# bats test_tags=slow
@test "the command runs even if three holders in a row die" {
  for i in 1 2 3 4; do
    spawn_get -- counted held "a$i" echo "holder $i" >"out.$i"
    if ((i == 1)); then await test -e a1.started; else await is_waiting $!; fi
    ((i == 1)) || { end "${spawned[i - 2]}" && await test -e "a$i.started"; }
  done
  release a4
  finish "${spawned[3]}"
  equal 0 "$status"
  equal 'holder 4' "$(<out.4)"
  ran_times 4
  store_is_clean
}

# bats test_tags=slow
@test "a new caller takes over after a holder has died" {
  hold
  bury "${spawned[0]}"
  run -0 get --wait 0 -- counted echo mine
  equal mine "$output"
  ran_times 2
  store_is_clean
}

# bats test_tags=slow
@test "ls does not show the run of a dead holder" {
  hold
  equal 1 "$(memolock ls | grep -c running)"
  bury "${spawned[0]}"
  equal '' "$(memolock ls)"
}

# bats test_tags=slow
@test "del of a dead holder's run prints 0" {
  hold
  bury "${spawned[0]}"
  equal 0 "$(memolock del --tag t --id x)"
}

@test "the partial output of a dead holder never becomes an entry" {
  spawn_get -- sh -c 'echo half; exec held a echo rest' >out
  await grep -q half out
  end "${spawned[0]}"
  run -1 memolock get --tag t --id x
  equal '' "$output"
}

@test "the old entry remains when a holder dies during a refresh" {
  get -- echo old
  hold --refresh
  end "${spawned[0]}"
  equal old "$(memolock get --tag t --id x)"
}

@test "when memolock is killed, its command and the command's descendants are killed" {
  spawn_get -- sh -c 'echo $$ >command.pid; sh -c "echo \$\$ >grandchild; exec sleep 60"; true'
  await test -s grandchild
  end "${spawned[0]}"
  await is_gone "$(<command.pid)"
  await is_gone "$(<grandchild)"
}

@test "when memolock and all processes that share its memory are killed, as by the OOM killer, its command is killed" {
  spawn_get -- sh -c '(sh -c "echo \$\$ >orphan; exec sleep 60" &); exec sleep 60'
  await test -s orphan
  run "$HELPERS/kill_sharers" "${spawned[0]}"
  ((status != 77)) || skip 'the kernel does not say who shares memory'
  # a single process; its threads are not counted
  equal '0: 1' "$status: $output"
  finish "${spawned[0]}"
  equal 137 "$status"
  await is_gone "$(<orphan)"
}

@test "when memolock is killed, a descendant that has lost its parent is killed too" {
  spawn_get -- sh -c '(sh -c "echo \$\$ >orphan; exec sleep 60" &); exec sleep 60'
  await test -s orphan
  end "${spawned[0]}"
  await is_gone "$(<orphan)"
}

# bats test_tags=slow
@test "a descendant that survives a killed holder does not prevent a waiter from taking over" {
  spawn_get -- sh -c 'setsid sh -c "echo \$\$ >survivor; exec sleep 60" & exec sleep 60'
  await test -s survivor
  also_end "$(<survivor)"
  spawn_get -- echo mine >out
  await is_waiting $!
  waiter=$!
  end "${spawned[0]}"
  finish $waiter
  equal mine "$(<out)"
  ! is_gone "$(<survivor)" || fail 'it has ended'
}

@test "when a waiter is killed, the holder and the other waiters are not affected" {
  hold
  spawn_get -- counted echo own
  waiter=$!
  await is_waiting $waiter
  spawn_get -- counted echo own >out
  await is_waiting $!
  end $waiter
  release a
  finish "${spawned[0]}"
  equal 0 "$status"
  finish "${spawned[2]}"
  equal held "$(<out)"
  ran_times 1
}

@test "a waiter whose holder is only stopped continues to wait" {
  hold --lease 1m
  kill -STOP "${spawned[0]}"
  run -124 get --wait 200ms -- counted echo own
  kill -CONT "${spawned[0]}"
  release a
  finish "${spawned[0]}"
  equal 0 "$status"
  ran_times 1
}
