#!/usr/bin/env bats
# del: removing entries.

load ../helpers/common

three() {
  for id in a b c; do memolock get --tag t --id $id --ttl 1h -- echo $id >/dev/null; done
  memolock get --tag u --id a --ttl 1h -- echo other >/dev/null
}

@test "del removes an entry and prints 1" {
  three
  equal 1 "$(memolock del --tag t --id b)"
  run -1 memolock get --tag t --id b
  run -0 memolock get --tag t --id a
  equal 3 "$(memolock ls | wc -l)"
}

@test "del removes several entries and prints how many existed" {
  three
  equal 2 "$(memolock del --tag t --id a --id nothing --id c)"
  equal $'t\tb\nu\ta' "$(memolock ls | cut -f 1,2 | sort)"
}

@test "del of the same id twice counts it once" {
  three
  equal 1 "$(memolock del --tag t --id a --id a)"
}

@test "del of a missing entry prints 0 and exits with 0" {
  run --separate-stderr -0 memolock del --tag t --id a
  equal 0 "$output"
  equal '' "$stderr"
}

@test "del --all removes the entries of one tag only" {
  three
  equal 3 "$(memolock del --all --tag t)"
  equal $'u\ta' "$(memolock ls | cut -f 1,2)"
  equal 0 "$(memolock del --all --tag t)"
}

@test "del --dry-run prints the number and removes nothing" {
  three
  equal 3 "$(memolock del --all --tag t --dry-run)"
  equal 1 "$(memolock del --tag t --id a --id x --dry-run)"
  equal 4 "$(memolock ls | wc -l)"
}

@test "del removes expired entries too" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- true
  equal 1 "$(memolock del --tag t --id x)"
  equal '' "$(memolock ls)"
}

@test "the result of a run during which del was called goes to its waiters, but is not stored" {
  spawn_get -- counted held a echo held >holder.out
  await test -e a.started
  spawn_get -- counted echo own >waiter.out
  await is_waiting $!
  equal 1 "$(memolock del --tag t --id x)"
  release a
  finish_all
  equal held "$(<holder.out)"
  equal held "$(<waiter.out)"
  ran_times 1
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "a caller that comes after del does not take the result of an older run" {
  spawn_get -- counted held a echo before
  await test -e a.started
  memolock del --tag t --id x
  spawn_get -- counted echo after >after.out
  await is_waiting $!
  release a
  finish_all
  equal after "$(<after.out)"
  ran_times 2
  equal after "$(memolock get --tag t --id x)"
}

@test "del during a refresh removes the old entry and the new one" {
  get -- echo old
  spawn_get --refresh -- held a echo new
  await test -e a.started
  equal 1 "$(memolock del --tag t --id x)"
  run -1 memolock get --tag t --id x
  release a
  finish_all
  run -1 memolock get --tag t --id x
}

@test "del --lock leaves a directory's lock to its holder, whose run it forgets, and frees a server's" {
  spawn_get -- held a echo held >holder.out 2>err
  await test -e a.started
  equal 1 "$(memolock del --tag t --id x --lock)"
  if on_redis; then
    equal '' "$(holder)"
    run -0 get --wait 0 -- counted echo own
    ran_times 1
  else
    run -124 get --wait 0 -- counted echo own
    ran_times 0
  fi
  release a
  finish_all
  equal held "$(<holder.out)"
  on_redis || run -1 memolock get --tag t --id x
  # of none there is none to forget
  memolock del --tag t --id x >/dev/null
  equal 0 "$(memolock del --tag t --id x --lock)"
  store_is_clean
}

@test "del --all affects runs in progress too" {
  three
  spawn_get -- held a echo held
  await test -e a.started
  equal 4 "$(memolock del --all --tag t)"
  release a
  finish_all
  equal 1 "$(memolock ls | wc -l)"
}

@test "del --dry-run does not affect a run in progress" {
  spawn_get -- held a echo held
  await test -e a.started
  equal 1 "$(memolock del --tag t --id x --dry-run)"
  release a
  finish_all
  equal held "$(memolock get --tag t --id x)"
}

@test "a run during which del was called reports once that its result was not stored" {
  spawn_get -v -- held a true 2>err
  await test -e a.started
  memolock del --tag t --id x
  release a
  finish_all
  contains "$(<err)" 'not stored'
  lacks "$(<err)" ': stored'
}

# killed NAME: starts a holder and kills it during its run.
killed() {
  spawn_get -- sh -c 'head -c 100000 /dev/zero; exec held "$0" true' "$1" >/dev/null
  await test -e "$1.started"
  bury $!
}

# bats test_tags=slow
@test "del removes what a killed holder left behind" {
  short_lease
  killed a
  equal 0 "$(memolock del --tag t --id x)"
  store_is_clean
  killed b
  equal 0 "$(memolock del --all --tag t)"
  store_is_clean
}

# bats test_tags=slow
@test "del while entries are stored and removed damages nothing" {
  for i in {1..60}; do memolock get --tag t --id x --ttl 1h -- seq 2000 >"out.$i"; done 3>&- &
  writer=$!
  while kill -0 $writer 2>/dev/null; do memolock del --tag t --id x >/dev/null; done
  wait $writer
  seq 2000 >want
  for i in {1..60}; do same_bytes want "out.$i"; done
  memolock del --tag t --id x
  equal '' "$(memolock ls)"
  store_is_clean
}

@test "failing to print the count is an error" {
  three
  run --separate-stderr -125 sh -c '"$0" del --tag t --id a >/dev/full' "$MEMOLOCK_BIN"
  one_own_line "$stderr"
}
