#!/usr/bin/env bats
# memolock's exit status is that of the command.

load ../helpers/common

# bats test_tags=slow
@test "every exit status from 0 to 255 is passed on" {
  for i in {0..255}; do
    status=0
    memolock get --tag t --id "$i" --ttl 1h -- sh -c "exit $i" || status=$?
    equal "$i" "$status"
  done
  store_is_clean
  equal 1 "$(memolock ls | wc -l)"
}

@test "a command that was killed by a signal gives 128 plus its number" {
  for signal in HUP INT QUIT KILL USR1 SEGV PIPE ALRM TERM; do
    status=0
    get -- sh -c "ulimit -c 0; kill -$signal \$\$" || status=$?
    equal "$signal $((128 + $(kill -l $signal)))" "$signal $status"
  done
}

@test "a real-time signal gives 128 plus its number" {
  run -162 get -- sh -c 'kill -34 $$'
}

# knows_why: skips the test where memolock cannot know why a command was not started.
knows_why() {
  needs_vfork
}

@test "a command that is not found gives 127" {
  knows_why
  run --separate-stderr -127 get -- no-such-command-at-all
  equal '' "$output"
  one_own_line "$stderr"
  contains "$stderr" no-such-command-at-all
}

@test "a path that does not exist gives 127" {
  knows_why
  run --separate-stderr -127 get -- ./nothing/here
  one_own_line "$stderr"
}

@test "a file that is not executable gives 126" {
  knows_why
  echo 'echo no' >script
  run --separate-stderr -126 get -- ./script
  one_own_line "$stderr"
  contains "$stderr" ./script
}

@test "a directory gives 126" {
  knows_why
  mkdir folder
  run --separate-stderr -126 get -- ./folder
  one_own_line "$stderr"
}

@test "a script whose interpreter is missing gives 126 or 127" {
  knows_why
  printf '#!/no/such/interpreter\n' >script
  chmod +x script
  status=0
  get -- ./script 2>err || status=$?
  ((status == 126 || status == 127))
  one_own_line "$(<err)"
}

@test "nothing is stored for a command that could not be started" {
  run -127 get -- ./later
  printf '#!/bin/sh\necho here\n' >later
  chmod +x later
  run -0 get -- ./later
  equal here "$output"
}

@test "statuses 124 to 127 of the command itself are passed on unchanged" {
  for i in 124 125 126 127; do
    run --separate-stderr -"$i" get -- sh -c "echo said; exit $i"
    equal said "$output"
    equal '' "$stderr"
  done
}

@test "memolock waits for a command that closes its streams early" {
  run -7 get -- sh -c 'exec >&- 2>&-; sleep 0.05; exit 7'
}

@test "a run ends when its output has ended, as in a command substitution" {
  run -0 get -- sh -c '(sleep 0.2; echo late) & echo early'
  equal $'early\nlate' "$output"
  run -0 memolock get --tag t --id x
  equal $'early\nlate' "$output"
}
