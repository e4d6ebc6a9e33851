#!/usr/bin/env bats
# Messages: -v, -q, MEMOLOCK_LOG.

load ../helpers/common

@test "without options a successful call prints no message" {
  run --separate-stderr -0 get -- true
  equal '' "$stderr"
}

@test "-v reports decisions on stderr, in lines that begin with memolock:" {
  run --separate-stderr -0 get -v -- echo output
  equal output "$output"
  contains "$stderr" 'running the command'
  run --separate-stderr -0 get -v -- echo output
  equal output "$output"
  contains "$stderr" hit
  while read -r line; do one_own_line "$line"; done <<<"$stderr"
}

@test "-v given twice reports no less" {
  run --separate-stderr -0 get -v -- echo output
  once=${stderr%, took *}
  run --separate-stderr -0 get -vv --refresh -- echo output
  while read -r line; do contains "$stderr" "$line"; done <<<"$once"
  (($(wc -l <<<"$stderr") > $(wc -l <<<"$once")))
  # what it is about
  place=$MEMOLOCK_CACHE_DIR
  ! on_redis || place=$REDIS_SOCKET
  lacks "$once" "$place"
  contains "$stderr" "$place"
  # and by the variable
  MEMOLOCK_LOG=debug run --separate-stderr -0 get --refresh -- echo output
  contains "$stderr" "$place"
}

@test "-v tells a waiter which process it waits for" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get -v -- true 2>err
  await began_to_wait 1 err
  contains "$(<err)" ":${spawned[0]}"
  release a
  finish_all
}

# says LINE…: asserts that these are the messages about t:x on stderr, except that the command runs.
says() {
  local own
  own=$(sed -n 's/^memolock: t:x: //p' <<<"$stderr" | grep -vxF 'running the command') || true
  equal "$(printf '%s\n' "$@")" "$own"
}

@test "-v reports how a command failed, and whether that is stored" {
  run --separate-stderr -3 get -v -- sh -c 'exit 3'
  says 'the command exited with status 3; not stored'
  run --separate-stderr -143 get -v -- sh -c 'kill $$'
  says 'the command was killed by signal TERM (15); not stored'
  run --separate-stderr -137 get -v -- sh -c 'kill -KILL $$'
  says 'the command was killed by signal KILL (9); not stored'
  run --separate-stderr -124 get -v --max-runtime 50ms -- sleep 60
  says 'the command was stopped after --max-runtime 50ms'
  run --separate-stderr -3 get -v --max-entry 1 -- sh -c 'echo long; exit 3'
  says 'not stored: the output is larger than --max-entry (1 B)' 'the command exited with status 3'
  run --separate-stderr -127 get -v -- no-such-command-at-all
  says
  run --separate-stderr -9 get -v --external -- sh -c 'exit 9'
  says 'the command exited with status 9; not stored'
  run --separate-stderr -3 get -v --cache-failures 1h -- sh -c 'exit 3'
  says 'the command exited with status 3; stored for 1h'
  for word in true ''; do
    # shellcheck disable=SC2086
    run --separate-stderr -3 get -v --cache-failures 1h $word
    [[ $stderr =~ ^'memolock: t:x: hit, '[0-9.]+m?s' old, took '[0-9.]+m?s'; a failure with status 3, stored for another 59m'[0-9]+'s'$ ]] \
      || fail "$stderr"
  done
}

@test "-v reports a failed command of once, of lock and of a run without the store" {
  run --separate-stderr -3 memolock lock -v --tag t --id x -- sh -c 'exit 3'
  says 'the command exited with status 3'
  run --separate-stderr -143 memolock once -v --store "${MEMOLOCK_STORE-local}" --tag t --id x --ttl 0 -- sh -c 'kill $$'
  says 'the command was killed by signal TERM (15)'
  MEMOLOCK_BYPASS=1 run --separate-stderr -3 get -v -- sh -c 'exit 3'
  says 'the command exited with status 3'
  run --separate-stderr -124 memolock lock -v --tag t --id x --max-runtime 50ms -- sleep 60
  says 'the command was stopped after --max-runtime 50ms'
}

@test "without -v a failed command is not reported" {
  for verb in 'get --ttl 1h' 'get --ttl 1h --cache-failures 1h' 'get --ttl 1h --cache-failures 1h' lock; do
    # shellcheck disable=SC2086
    run --separate-stderr -3 memolock $verb --tag t --id x -- sh -c 'exit 3'
    equal '' "$stderr"
  done
}

@test "-v reports how a promise ended, to the holder and to the caller of set or fail" {
  run --separate-stderr -0 get -v --external -- sh -c 'echo | "$MEMOLOCK_BIN" set -v --ttl 1h'
  equal 2 "$(grep -cxF -e 'memolock: t:x: the result was set' -e 'memolock: t:x: stored for 1h' <<<"$stderr")"
  run --separate-stderr -7 get -v --refresh --external -- sh -c '"$MEMOLOCK_BIN" fail -v --status 7 <&-'
  equal 2 "$(grep -cxF -e 'memolock: t:x: the promise failed with status 7' -e 'memolock: t:x: failed with status 7' <<<"$stderr")"
}

@test "-v reports once why an entry is not used" {
  get -- true
  run --separate-stderr -0 get -v --refresh -- true
  [[ $stderr =~ ^'memolock: t:x: the entry is older than this call (--refresh): '[0-9.]+m?s' old'$'\n' ]] || fail "$stderr"
  equal 3 "$(wc -l <<<"$stderr")"
  get --refresh -- echo long
  run --separate-stderr -0 get -v --max-entry 1 --wait 5s -- true
  equal 1 "$(grep -c 'larger than --max-entry' <<<"$stderr")"
  memolock get --tag t --id x --ttl 1ms --refresh -- true
  await eval '[[ $(memolock get --tag t --id x; echo $?) == 1 ]]'
  spawn_get -- held a true
  await test -e a.started
  run --separate-stderr -124 get -v --wait 50ms -- true
  equal '' "$(tr -d 0-9 <<<"$stderr" | sort | uniq -d)"
  contains "$stderr" 'timed out'
  release a
  finish_all
}

@test "-v reports the result of each look-up once" {
  get -- head -c 1000000 /dev/zero >/dev/null
  spawn_get --refresh -- held a false
  await test -e a.started
  spawn_get -v --max-entry 1 --on-failure retry -- true 2>err
  waiter=$!
  await began_to_wait 1 err
  release a
  finish "$waiter"
  equal 0 "$status"
  equal 1 "$(grep -c 'larger than --max-entry' err)"
}

@test "-v reports once that the command runs without the store" {
  run --separate-stderr -0 get -v --store redis://127.0.0.1:1 -- true
  equal 1 "$(grep -c 'running the command' <<<"$stderr")"
}

@test "-v reports once that a result is not stored, even for several reasons" {
  for external in '' --external; do
    # shellcheck disable=SC2016,SC2086
    run --separate-stderr -4 get -v $external -- sh -c 'echo bad >"$MEMOLOCK_CONTROL"; exit 4'
    says 'not stored: the command wrote an invalid line to MEMOLOCK_CONTROL: bad' \
      'the command exited with status 4'
  done
}

@test "-v reports that it is too soon after a failure" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- echo old
  await eval '[[ $(memolock ls | cut -f 3) == stale ]]'
  run -0 get --ttl 1ms --stale-if-error 1h --cache-failures 1h -- sh -c 'exit 4'
  run --separate-stderr -0 get -v --ttl 1ms --stale-if-error 1h --cache-failures 1h -- sh -c 'exit 4'
  equal old "$output"
  equal 1 "$(grep -cxF 'memolock: t:x: too soon to run the command again: it failed with status 4' <<<"$stderr")"
}

@test "the message of a timeout names the process that was waited for" {
  spawn_get -- held a true
  await test -e a.started
  by="$(uname -n):${spawned[0]}"
  for wait in 0 20ms; do
    for verb in 'get --ttl 1h' lock; do
      # shellcheck disable=SC2086
      run --separate-stderr -124 memolock $verb --tag t --id x --wait $wait -- true
      [[ $stderr =~ ^'memolock: t:x: timed out after waiting '(0|20)'ms for '"$by"$ ]] || fail "$stderr"
    done
  done
  run --separate-stderr -0 get -v --wait 0 --on-timeout run -- true
  says "timed out after waiting 0ms for $by; running the command without the store"
  run --separate-stderr -0 memolock lock --tag t --id x --wait 0 --on-timeout run -- true
  says "timed out after waiting 0ms for $by; running without the lock"
  release a
  finish_all
}

@test "the message of a timeout distinguishes a promise, another program and an invisible holder" {
  spawn_get --external --lease 1m -- sh -c ': >begun'
  await test -e begun
  await eval '[[ $(memolock show --tag t --id x | sed -n "s/^state *//p") == running ]]'
  run --separate-stderr -124 get --wait 50ms -- true
  says "timed out after waiting 50ms for the promise of $(uname -n):${spawned[0]}"
  end "${spawned[0]}"
  if on_redis; then
    redis set t/lock:other secret px 60000
    run --separate-stderr -124 memolock get --tag t --id other --ttl 1h --wait 50ms -- true
    contains "$stderr" 'timed out after waiting 50ms for another program'
  else
    hold_unseen hidden
    for verb in 'get --ttl 1h' lock; do
      # shellcheck disable=SC2086
      run --separate-stderr -124 memolock $verb --tag t --id hidden --wait 50ms -- true
      contains "$stderr" 'timed out after waiting 50ms for an unknown process'
    done
  fi
}

@test "MEMOLOCK_LOG=info is equivalent to -v" {
  MEMOLOCK_LOG=info run --separate-stderr -0 get -- true
  contains "$stderr" 'running the command'
}

@test "-q suppresses warnings" {
  run --separate-stderr -0 get -- sh -c 'echo nonsense >>"$MEMOLOCK_CONTROL"'
  one_own_line "$stderr"
  run --separate-stderr -0 get -q -- sh -c 'echo nonsense >>"$MEMOLOCK_CONTROL"'
  equal '' "$stderr"
}

@test "MEMOLOCK_LOG=quiet suppresses warnings" {
  MEMOLOCK_LOG=quiet run --separate-stderr -0 get -- sh -c 'echo nonsense >>"$MEMOLOCK_CONTROL"'
  equal '' "$stderr"
}

@test "-q suppresses errors too, including errors of usage and of the configuration" {
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

@test "-q overrides -v" {
  for flags in '-q -v' '-v -q' '-v -v -q' -vqv; do
    # shellcheck disable=SC2086
    run --separate-stderr -0 get $flags -- true
    equal '' "$stderr"
  done
}

@test "-v on the command line overrides MEMOLOCK_LOG" {
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

@test "MEMOLOCK_BYPASS runs the command without any store" {
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

@test "MEMOLOCK_BYPASS needs neither a ttl nor a home directory, and respects --max-runtime" {
  unset HOME XDG_CACHE_HOME MEMOLOCK_CACHE_DIR
  export MEMOLOCK_BYPASS=1
  run --separate-stderr -0 memolock get --id x -- echo output
  equal output "$output"
  equal '' "$stderr"
  run -124 get --max-runtime 50ms -- sleep 60
}

@test "with MEMOLOCK_BYPASS=0 or empty, nothing is bypassed" {
  MEMOLOCK_BYPASS=0 get -- counted true
  MEMOLOCK_BYPASS='' get -- counted true
  ran_times 1
}
