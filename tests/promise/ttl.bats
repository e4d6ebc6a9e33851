#!/usr/bin/env bats
# How long an entry is fresh.

load ../helpers/common

# expired: whether the entry t:x is no longer fresh.
expired() { ! memolock get --tag t --id x >/dev/null; }

@test "an entry is fresh until the end of its ttl" {
  equal 1 "$(memolock get --tag t --id x --ttl 1h -- echo 1)"
  equal 1 "$(memolock get --tag t --id x --ttl 1h -- echo 2)"
}

@test "after the ttl the command runs again" {
  equal 1 "$(memolock get --tag t --id x --ttl 50ms -- echo 1)"
  await expired
  equal 2 "$(memolock get --tag t --id x --ttl 50ms -- echo 2)"
}

@test "--ttl forever never expires" {
  get -- echo 1
  equal 1 "$(get -- echo 2)"
  contains "$(memolock ls)" $'\tfresh\t'
  contains "$(memolock ls)" $'\tforever\t'
}

@test "a reader's shorter ttl is respected" {
  get -- echo 1
  age_has_come() { ! memolock get --tag t --id x --ttl 50ms >/dev/null; }
  await age_has_come
  equal 2 "$(memolock get --tag t --id x --ttl 50ms -- echo 2)"
}

@test "a reader's longer ttl does not make an expired entry usable" {
  equal 1 "$(memolock get --tag t --id x --ttl 30ms -- echo 1)"
  await expired
  equal 2 "$(get -- echo 2)"
}

@test "--ttl 0 stores nothing" {
  equal 1 "$(memolock get --tag t --id x --ttl 0 -- echo 1)"
  run -1 memolock get --tag t --id x
  equal 2 "$(memolock get --tag t --id x --ttl 0 -- echo 2)"
  store_is_clean
}

@test "--ttl 0 shares a run in progress" {
  spawn_get --ttl 0 -- counted held a echo shared >1.out
  await test -e a.started
  for i in 2 3 4; do
    spawn_get --ttl 0 -- counted echo own >$i.out
    await is_waiting $!
  done
  release a
  finish_all
  for i in 1 2 3 4; do equal shared "$(<$i.out)"; done
  ran_times 1
  run -1 memolock get --tag t --id x
}

@test "--ttl 0 ignores a stored entry" {
  get -- echo old
  equal new "$(memolock get --tag t --id x --ttl 0 -- echo new)"
}

@test "a waiter with a ttl shares a run with --ttl 0" {
  spawn_get --ttl 0 -- counted held a echo shared
  await test -e a.started
  spawn_get -- counted echo own >waiter.out
  await is_waiting $!
  release a
  finish_all
  equal shared "$(<waiter.out)"
  ran_times 1
}

@test "durations can be written in several ways" {
  for ttl in 500ms 5s 1h30m 2d 0.5 7 forever 1.5h; do
    run -0 memolock get --tag d --id "$ttl" --ttl "$ttl" -- true
  done
}

@test "an invalid duration is refused" {
  for ttl in '' x 5x -1 1h- s 1e999 '5 s' 99999999999999999999; do
    refused --ttl memolock get --tag t --id x --ttl="$ttl" -- true
  done
}
