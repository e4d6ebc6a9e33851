#!/usr/bin/env bats
# --refresh: ignores stored entries, and runs that started before the call.

load ../helpers/common

@test "--refresh runs the command despite a fresh entry" {
  get -- echo old
  equal new "$(get --refresh -- echo new)"
  equal new "$(memolock get --tag t --id x)"
}

@test "a flag that is set to false is not set" {
  get -- echo old
  for word in false 0; do
    run -0 get --refresh=$word -- counted echo new
    equal old "$output"
  done
  ran_times 0
  equal 1 "$(memolock del --tag t --id x --dry-run=false)"
  run -1 memolock get --tag t --id x
}

@test "--refresh does not use the result of a run that started before the call" {
  spawn_get -- counted held a echo before >1.out
  await test -e a.started
  spawn_get --refresh -- counted echo after >2.out
  await is_waiting $!
  release a
  finish_all
  equal before "$(<1.out)"
  equal after "$(<2.out)"
  ran_times 2
  equal after "$(memolock get --tag t --id x)"
}

@test "refreshes that wait for an older run share the next one" {
  spawn_get -- counted held a echo before >/dev/null
  await test -e a.started
  for i in {1..6}; do
    spawn_get --refresh -v -- counted held b echo after >"out.$i" 2>"err.$i"
    await is_waiting $!
  done
  release a
  await test -e b.started
  await began_to_wait 11 'err.*'
  release b
  finish_all
  equal 6 "$(cat out.* | grep -c after)"
  ran_times 2
}

@test "a waiter without --refresh uses the result of a refresh in progress" {
  spawn_get --refresh -- counted held a echo new
  await test -e a.started
  spawn_get -- counted echo own >waiter.out
  await is_waiting $!
  release a
  finish_all
  equal new "$(<waiter.out)"
  ran_times 1
}

@test "during a refresh the fresh entry is a hit" {
  get -- echo old
  spawn_get --refresh -- held a echo new
  await test -e a.started
  equal old "$(get -- echo own)"
  release a
  finish_all
  equal new "$(get -- echo own)"
}

@test "a look-up with --refresh ignores stored entries" {
  get -- echo old
  run -1 memolock get --tag t --id x --refresh
}
