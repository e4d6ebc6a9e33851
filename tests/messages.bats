#!/usr/bin/env bats
# What memolock says for itself: -v, -q, MEMOLOCK_LOG.

load helpers/common

@test "nothing is said when all is well" {
  run --separate-stderr -0 get -- true
  equal '' "$stderr"
}

@test "-v says on stderr what was decided, in lines of memolock's own" {
  run --separate-stderr -0 get -v -- echo output
  equal output "$output"
  contains "$stderr" 'running the command'
  run --separate-stderr -0 get -v -- echo output
  equal output "$output"
  contains "$stderr" hit
  while read -r line; do one_own_line "$line"; done <<<"$stderr"
}

@test "-v given twice says no less" {
  run --separate-stderr -0 get -vv -- echo output
  contains "$stderr" 'running the command'
}

@test "-v tells a waiter whom it waits for" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get -v -- true 2>err
  await began_to_wait 1 err
  contains "$(<err)" ":${spawned[0]}"
  release a
  finish_all
}

@test "MEMOLOCK_LOG=info says what -v says" {
  MEMOLOCK_LOG=info run --separate-stderr -0 get -- true
  contains "$stderr" 'running the command'
}

@test "-q keeps warnings to itself" {
  run --separate-stderr -0 get -- sh -c 'echo nonsense >>"$MEMOLOCK_CONTROL"'
  one_own_line "$stderr"
  run --separate-stderr -0 get -q -- sh -c 'echo nonsense >>"$MEMOLOCK_CONTROL"'
  equal '' "$stderr"
}

@test "MEMOLOCK_LOG=quiet keeps warnings to itself" {
  MEMOLOCK_LOG=quiet run --separate-stderr -0 get -- sh -c 'echo nonsense >>"$MEMOLOCK_CONTROL"'
  equal '' "$stderr"
}

@test "-q keeps errors to itself too, whatever they are of" {
  run --separate-stderr -125 get -q --wait bad -- true
  equal '' "$stderr"
  run --separate-stderr -125 get --wait bad -q -- true
  equal '' "$stderr"
  run --separate-stderr -125 memolock del -q
  equal '' "$stderr"
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  echo 'ttl = "soon"' >"$XDG_CONFIG_HOME/memolock/config.toml"
  run --separate-stderr -125 memolock get -q --id x -- true
  equal '' "$stderr"
  rm "$XDG_CONFIG_HOME/memolock/config.toml"
  export MEMOLOCK_LOG=quiet
  for words in '' nothing 'get --nothing' 'get --wait bad -- true' 'get --ttl'; do
    # shellcheck disable=SC2086
    run --separate-stderr -125 memolock $words
    equal '' "$stderr"
  done
}

@test "-q goes before -v" {
  for flags in '-q -v' '-v -q' '-v -v -q' -vqv; do
    # shellcheck disable=SC2086
    run --separate-stderr -0 get $flags -- true
    equal '' "$stderr"
  done
}

@test "-v on the command line wins over MEMOLOCK_LOG" {
  MEMOLOCK_LOG=quiet run --separate-stderr -0 get -v -- true
  contains "$stderr" 'running the command'
}

@test "messages show ids with control characters escaped" {
  run --separate-stderr -0 memolock get -v --tag t --id $'a\nb\x1b[31m' --ttl 1h -- true
  lacks "$stderr" $'\x1b'
  contains "$stderr" 'a\nb\x1b[31m'
}

@test "messages of memolock never become part of the entry" {
  get -v -- sh -c 'echo err >&2' 2>/dev/null
  run --separate-stderr -0 memolock get --tag t --id x
  equal err "$stderr"
}

@test "MEMOLOCK_BYPASS runs the command with no store at all" {
  export MEMOLOCK_BYPASS=1
  run -0 get -- counted echo 1
  run -0 get -- counted echo 1
  ran_times 2
  store_is_untouched
}

@test "a bypassed command keeps its status, its streams and its stdin" {
  export MEMOLOCK_BYPASS=1
  run --separate-stderr -9 get -- sh -c 'cat; echo err >&2; exit 9' <<<input
  equal input "$output"
  equal err "$stderr"
  run -127 get -- no-such-command-at-all
}

@test "a bypassed look-up finds nothing" {
  get -- true
  MEMOLOCK_BYPASS=1 run --separate-stderr -1 memolock get --tag t --id x
  equal '' "$output$stderr"
}

@test "MEMOLOCK_BYPASS needs no ttl, works without a home, and obeys --max-runtime" {
  unset HOME XDG_CACHE_HOME MEMOLOCK_CACHE_DIR
  export MEMOLOCK_BYPASS=1
  run --separate-stderr -0 memolock get --id x -- echo output
  equal output "$output"
  equal '' "$stderr"
  run -124 get --max-runtime 50ms -- sleep 60
}

@test "MEMOLOCK_BYPASS=0 and an empty one bypass nothing" {
  MEMOLOCK_BYPASS=0 get -- counted true
  MEMOLOCK_BYPASS='' get -- counted true
  ran_times 1
}
