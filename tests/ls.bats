#!/usr/bin/env bats
# ls: one line an entry or run, fields between tabs.

load helpers/common

# field N: of the only line that ls prints.
field() { memolock ls | cut -f "$1"; }

@test "ls of nothing prints nothing" {
  run --separate-stderr -0 memolock ls
  equal '' "$output$stderr"
}

@test "a fresh entry is shown with tag, id, state, age, time left, size and no holder" {
  memolock get --tag t --id x --ttl 1h -- sh -c 'printf 12345; printf 678 >&2' >/dev/null 2>&1
  equal 7 "$(memolock ls | awk -F '\t' '{ print NF }')"
  equal t "$(field 1)"
  equal x "$(field 2)"
  equal fresh "$(field 3)"
  [[ $(field 4) =~ ^[0-9.]+m?s$ ]]
  [[ $(field 5) =~ ^59m ]]
  equal 8 "$(field 6)"
  equal - "$(field 7)"
}

@test "an expired entry is shown as stale" {
  memolock get --tag t --id x --ttl 1ms -- true
  is_stale() { [[ $(field 3) == stale ]]; }
  await is_stale
  equal - "$(field 5)"
}

@test "a run is shown with its holder's host and process" {
  spawn_get -- sh -c 'printf 12345; exec held a true' >/dev/null
  await test -e a.started
  equal running "$(field 3)"
  equal - "$(field 5)"
  equal "$(uname -n):$!" "$(field 7)"
  shown_size() { [[ $(field 6) == 5 ]]; }
  await shown_size
  release a
  finish_all
  equal fresh "$(field 3)"
}

@test "of an entry that is being made anew there is one line" {
  get -- echo old
  spawn_get --refresh -- held a true
  await test -e a.started
  equal running "$(memolock ls | cut -f 3)"
  release a
}

@test "waiters are not shown" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get -- true
  await is_waiting $!
  equal 1 "$(memolock ls | wc -l)"
  release a
}

@test "ls --tag shows that tag alone" {
  memolock get --tag t --id x --ttl 1h -- true
  memolock get --tag u --id x --ttl 1h -- true
  equal 2 "$(memolock ls | wc -l)"
  equal u "$(memolock ls --tag u | cut -f 1)"
  equal '' "$(memolock ls --tag v)"
}

@test "tags and ids are shown with control characters escaped, each on one line" {
  memolock get --tag t --id $'a\nb\tc\x1b[31m\x7f\xc2\x9b' --ttl 1h -- true
  run -0 memolock ls
  equal 1 "${#lines[@]}"
  equal 'a\nb\tc\x1b[31m\x7f\xc2\x9b' "$(field 2)"
}

@test "printable characters of any language are shown as they are" {
  memolock get --tag t --id 'ünï 日本語' --ttl 1h -- true
  equal 'ünï 日本語' "$(field 2)"
}

@test "ls while a reader leaves is no error" {
  for i in {1..30}; do memolock get --tag t --id "$i" --ttl 1h -- true; done
  run -0 bash -c '"$0" ls | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  [[ $output == 0 || $output == 141 ]]
}

@test "ls to a full device is an error" {
  get -- true
  run --separate-stderr -125 sh -c '"$0" ls >/dev/full' "$MEMOLOCK_BIN"
  one_own_line "$stderr"
}

@test "ls does not hold up a run, nor look like a holder" {
  for i in {1..30}; do
    "$MEMOLOCK_BIN" ls >/dev/null 3>&- &
    pids+=($!)
    run -0 memolock get --tag t --id "$i" --ttl 1h --wait 0 -- true
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}
