#!/usr/bin/env bats
# What `get` does for a single caller.

load ../helpers/common

@test "a miss runs the command and passes on its output and status" {
  run --separate-stderr -0 get -- counted sh -c 'echo out; echo err >&2'
  equal out "$output"
  equal err "$stderr"
  ran_times 1
}

@test "a hit gives the same output without running the command" {
  get -- counted sh -c 'echo out; echo err >&2' >/dev/null 2>&1
  run --separate-stderr -0 get -- counted sh -c 'echo other'
  equal out "$output"
  equal err "$stderr"
  ran_times 1
}

@test "a hit prints no message" {
  get -- true
  get -- true >out 2>err
  is_empty out
  is_empty err
}

@test "ids are separate entries" {
  equal 1 "$(memolock get --tag t --id a --ttl forever -- echo 1)"
  equal 2 "$(memolock get --tag t --id b --ttl forever -- echo 2)"
  equal 1 "$(memolock get --tag t --id a --ttl forever -- echo 3)"
}

@test "tags are separate" {
  equal 1 "$(memolock get --tag a --id x --ttl forever -- echo 1)"
  equal 2 "$(memolock get --tag b --id x --ttl forever -- echo 2)"
  equal 1 "$(memolock get --tag a --id x --ttl forever -- echo 3)"
}

@test "the default tag is named default" {
  memolock get --id x --ttl forever -- echo 1
  equal 1 "$(memolock get --tag default --id x)"
}

@test "a failed run is not stored" {
  run -3 get -- counted sh -c 'echo no; exit 3'
  run -0 get -- counted echo yes
  equal yes "$output"
  ran_times 2
}

@test "a look-up without a command replays the stored entry" {
  get -- sh -c 'echo out; echo err >&2' >/dev/null 2>&1
  run --separate-stderr -0 memolock get --tag t --id x
  equal out "$output"
  equal err "$stderr"
}

@test "a look-up that finds nothing exits with 1 and prints nothing" {
  run --separate-stderr -1 memolock get --tag t --id x
  equal '' "$output"
  equal '' "$stderr"
}

@test "a look-up with --wait that finds nothing exits with 1 immediately" {
  run --separate-stderr -1 memolock get --tag t --id x --wait forever
  equal '' "$output$stderr"
}

@test "a look-up respects the reader's ttl" {
  get -- echo 1
  await sh -c 'sleep 0.02' # until it is older than that
  run -1 memolock get --tag t --id x --ttl 10ms
  run -0 memolock get --tag t --id x --ttl 1h
}

@test "a look-up takes no lock and leaves nothing behind" {
  run -1 memolock get --tag t --id x
  store_is_clean
  store_is_empty
}

@test "without -- the first word that is not an option begins the command" {
  run -0 memolock get --tag t --id x --ttl forever echo --id y -- z
  equal '--id y -- z' "$output"
}

@test "the words after -- belong to the command, including a second --" {
  run -0 get -- echo a -- --tag -- b
  equal 'a -- --tag -- b' "$output"
}

@test "afterwards only entries are left in the store" {
  get -- echo 1
  run -3 memolock get --tag t --id y --ttl 1h -- sh -c 'exit 3'
  memolock get --tag t --id z --ttl 0 -- echo 2
  run -127 memolock get --tag t --id w --ttl 1h -- ./no-such-command
  store_is_clean
  equal 1 "$(memolock ls | wc -l)"
}

@test "help and version go to stdout with status 0" {
  for words in --help --version 'get --help' 'del --help' 'ls -h'; do
    # shellcheck disable=SC2086 # words
    run --separate-stderr -0 memolock $words
    [[ -n $output ]]
    equal '' "$stderr"
  done
}
