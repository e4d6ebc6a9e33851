#!/usr/bin/env bats
# once: for cron on many hosts.

load ../helpers/common

setup() {
  isolate
  use_store
  on_redis || export MEMOLOCK_STORE=local
}

once() { memolock once --tag t --id x --ttl 1h "$@"; }
spawn_once() { spawn "$MEMOLOCK_BIN" once --tag t --id x --ttl 1h "$@"; }

# hold OPTION…: starts a run that ends after `release a`.
hold() {
  spawn_once "$@" -- held a true
  await test -e a.started
}

# field N: this field of the only line that ls prints.
field() { memolock ls | cut -f "$1"; }

# skips OPTION…: asserts that a call is skipped with status 0 and without a message.
skips() {
  run --separate-stderr -0 once "$@" -- counted echo ran
  equal '' "$output$stderr"
}

# ---- once ----

@test "the command runs with the caller's own streams, and then not again" {
  echo input >in
  status=0
  once -- sh -c 'readlink /proc/self/fd/1 >links; cat; echo err >&2; exit 7' <in >out 2>err || status=$?
  equal 7 "$status"
  same_bytes in out
  equal err "$(<err)"
  equal "$PWD/links" "$(<links)"
  skips
  ran_times 0
  store_is_clean
}

# bats test_tags=slow
@test "of 100 concurrent callers one runs, in each of 10 rounds" {
  for id in {1..10}; do
    for i in {1..100}; do
      spawn "$MEMOLOCK_BIN" once --tag t --id "$id" --ttl 1h -- counted echo "$id" >"out.$i"
    done
    finish_all
    # shellcheck disable=SC2034 # it is the helpers'
    spawned=()
    ran_times "$id"
    equal "$id" "$(cat out.*)"
  done
  store_is_clean
}

# bats test_tags=slow
@test "of 40 callers in any order each of 6 ids runs once" {
  for i in {1..240}; do
    spawn "$MEMOLOCK_BIN" once --tag t --id "$((i % 6))" --ttl 1h -- counted sleep "0.00$((RANDOM % 10))"
  done
  finish_all
  ran_times 6
}

@test "--skip-status sets the status of a skipped call only" {
  run -3 once --skip-status 75 -- sh -c 'exit 3'
  run --separate-stderr -75 once --skip-status 75 -- counted true
  equal '' "$output$stderr"
  MEMOLOCK_SKIP_STATUS=9 run -9 once -- counted true
  ran_times 0
  refused --skip-status memolock once --tag t --id x --ttl 1h --skip-status 256 -- true
}

@test "a caller does not wait for a run in progress" {
  hold
  skips
  run -75 once --skip-status 75 -- counted true
  is_running x
  ran_times 0
  release a
  finish_all
  skips
  ran_times 0
}

@test "-v reports why a call was skipped" {
  hold
  run -0 once -v -- true
  contains "$output" "skipped; $(uname -n):$!, running for"
  release a
  finish_all
  run -0 once -v -- true
  contains "$output" "skipped; $(uname -n):$! started a run"
}

@test "other ids and tags run separately" {
  once -- counted true
  memolock once --tag t --id y --ttl 1h -- counted true
  memolock once --tag u --id x --ttl 1h -- counted true
  ran_times 3
}

# ---- ttl ----

# again TTL [PAUSE]: repeats the call until it has run once more. Asserts that its command started at least PAUSE
# milliseconds after the call of the previous run.
again() {
  local before pause
  before=$(runs)
  await runs_again "$1"
  pause=$(($(<started) - ran_since))
  ran_since=$called
  ((pause >= ${2-0})) || fail "after $pause ms"
}
runs_again() {
  called=$(date +%s%3N)
  once --ttl "$1" -- counted sh -c 'date +%s%3N >started'
  ran $((before + 1))
}

# bats test_tags=slow
@test "the command runs again after the ttl, and not before" {
  ran_since=0
  again 1s
  again 1s 1000
  again 1s 1000
  ran_times 3
}

# bats test_tags=slow
@test "the ttl is counted from the start of the run" {
  once --ttl 200ms -- counted sleep 0.3
  once --ttl 200ms -- counted true
  ran_times 2
  memolock del --tag t --id x >/dev/null
  once -- sleep 1
  [[ $(field 5) == 59m[0-5]* && $(field 5) != 59m59s ]] || fail "left: $(field 5)"
  [[ $(field 4) != *ms ]] || fail "age: $(field 4)"
}

# bats test_tags=slow
@test "a run is valid for its own ttl or the caller's, whichever is shorter" {
  ran_since=0
  again 1s
  again 1h 1000
  skips --ttl 1h
  again 1s 1000
  ran_times 3
}

@test "--ttl 0 stores no mark, and skips only while a run is in progress" {
  once --ttl 0 -- counted true
  once --ttl 0 -- counted true
  equal '' "$(memolock ls)"
  hold --ttl 0
  skips --ttl 0
  release a
  finish_all
  ran_times 2
  equal '' "$(memolock ls)"
}

@test "with --ttl forever the command never runs again" {
  once --ttl forever -- true
  skips --ttl forever
  equal forever "$(field 5)"
  ran_times 0
}

# ---- runs that failed or did not take place ----

@test "a failed run is treated as done" {
  run -3 once -- sh -c 'exit 3'
  skips
  ran_times 0
}

@test "with --on-failure retry a failed run is repeated" {
  run -3 once -- sh -c 'exit 3'
  run -4 once --on-failure retry -- sh -c 'exit 4'
  skips
  once --on-failure retry -- counted true
  skips --on-failure retry
  ran_times 1
}

@test "a run that was stopped at --max-runtime, or killed, is a failed run" {
  run -124 once --max-runtime 50ms -- sleep 60
  equal failed "$(field 3)"
  skips
  run -137 once --on-failure retry -- sh -c 'kill -KILL $$'
  equal failed "$(field 3)"
  skips
}

@test "a command that could not be started leaves no mark" {
  needs_vfork
  run --separate-stderr -127 once -- ./nothing
  one_own_line "$stderr"
  equal '' "$(memolock ls)"
  once -- counted true
  ran_times 1
}

# bats test_tags=slow
@test "a holder that is killed leaves no mark" {
  short_lease
  hold
  bury "$!"
  once -- counted true
  ran_times 1
  store_is_clean
}

@test "an interrupted run leaves no mark, and nothing of its command running" {
  for signal in INT TERM HUP QUIT; do
    rm -f command.pid
    spawn_once -- sh -c 'echo $$ >command.pid; sleep 60; true'
    await test -s command.pid
    kill -$signal $!
    finish $!
    equal $((128 + $(kill -l $signal))) "$status"
    is_gone "$(<command.pid)"
    equal '' "$(memolock ls)"
  done
  # even if the command exits with 0 on the signal
  spawn_once -- sh -c 'trap "exit 0" TERM; : >ready; while :; do sleep 0.01; done'
  await test -e ready
  kill -TERM $!
  finish $!
  equal 0 "$status"
  once -- counted true
  ran_times 1
}

# ---- together with get and lock ----

@test "an entry is not treated as a run of once, and neither replaces the other" {
  get -- echo entry
  once -- counted true
  ran_times 1
  equal entry "$(memolock get --tag t --id x)"
  get --refresh -- echo new
  run -1 get --refresh -- false
  run -1 get --refresh --cache-failures 1h -- false
  get --refresh --ttl 0 -- true
  skips
  ran_times 1
}

@test "a mark is not treated as an entry" {
  once -- echo output
  run --separate-stderr -1 memolock get --tag t --id x
  equal '' "$output$stderr"
  equal own "$(get -- counted echo own)"
  ran_times 1
}

@test "once does not remove a stored failure" {
  run -5 get --cache-failures 1h -- sh -c 'exit 5'
  once -- true
  run -5 get --cache-failures 1h -- counted true
  ran_times 0
}

@test "a get that waits for the run of once runs its own command afterwards" {
  hold
  spawn_get -- counted echo own >out
  await is_waiting $!
  release a
  finish_all
  equal own "$(<out)"
  ran_times 1
}

@test "a lock that waits for the run of once gets its turn afterwards" {
  hold
  spawn "$MEMOLOCK_BIN" lock --tag t --id x -- counted true
  await is_waiting $!
  ran_times 0
  release a
  finish_all
  ran_times 1
}

@test "any holder of the lock is treated as a run in progress" {
  spawn "$MEMOLOCK_BIN" lock --tag t --id x -- held a true
  await test -e a.started
  skips
  release a
  finish_all
  spawn_get -- held b true
  await test -e b.started
  skips
  release b
  finish_all
  once -- counted true
  ran_times 1
}

@test "a run of once inside itself is refused" {
  refused 'inside the run of t:x' memolock once --tag t --id x --ttl 1h -- "$MEMOLOCK_BIN" once --tag t --id x --ttl 1h -- true
  # it never waits
  lacks "$stderr" wait
  lacks "$stderr" deadlock
}

# ---- ls and del ----

@test "ls shows the mark, with the holder and the age of the run" {
  spawn_once -- true
  finish $!
  equal t "$(field 1)"
  equal x "$(field 2)"
  equal fresh "$(field 3)"
  [[ $(field 5) =~ ^59m ]]
  equal 0 "$(field 6)"
  equal "$(uname -n):$!" "$(field 7)"
  equal 1 "$(memolock ls --tag t | wc -l)"
}

@test "a failed run is shown as failed" {
  run -3 once -- sh -c 'exit 3'
  equal failed "$(field 3)"
}

@test "an entry and a mark have one line each, and a run in progress replaces both" {
  get -- true
  once -- true
  equal $'-\n'"$(uname -n)" "$(memolock ls | cut -f 7 | sed 's/:.*//' | LC_ALL=C sort)"
  equal '["entry",false] ["mark",true]' "$(memolock ls --json | jq -c '.[] | [.kind, .pid != null]' | LC_ALL=C sort | paste -sd ' ')"
  hold --ttl 1ms
  equal running "$(field 3)"
  release a
}

@test "del removes a mark" {
  once -- true
  equal 1 "$(memolock del --tag t --id x --dry-run)"
  skips
  equal 1 "$(memolock del --tag t --id x)"
  equal 0 "$(memolock del --tag t --id x)"
  equal '' "$(memolock ls)"
  once -- counted true
  ran_times 1
  store_is_clean
}

@test "del of a tag removes its marks, and counts an id once" {
  once -- true
  memolock once --tag t --id y --ttl 1h -- true
  memolock once --tag u --id x --ttl 1h -- true
  get -- true
  equal 2 "$(memolock del --all --tag t --dry-run)"
  equal 2 "$(memolock del --all --tag t)"
  equal u "$(field 1)"
}

@test "del during a run prevents its mark, and wakes no waiter" {
  hold -v 2>err
  spawn_get -- counted echo own >out
  await is_waiting $!
  equal 1 "$(memolock del --tag t --id x)"
  release a
  finish_all
  equal own "$(<out)"
  once -- counted true
  ran_times 2
}

# ---- the store ----

@test "a store is required" {
  unset MEMOLOCK_STORE
  refused --store memolock once --tag t --id x --ttl 1h -- counted true
  ran_times 0
  run -0 memolock once --store "file://$PWD/elsewhere" --tag t --id x --ttl 1h -- counted true
  ran_times 1
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  echo "store = \"file://$PWD/elsewhere\"" >"$XDG_CONFIG_HOME/memolock/config.toml"
  run -0 memolock once --tag t --id x --ttl 1h -- counted true
  ran_times 1
}

@test "an id, a ttl and a command are required" {
  refused --id memolock once --tag t --ttl 1h -- true
  refused --ttl memolock once --tag t --id x -- true
  refused command memolock once --tag t --id x --ttl 1h
  refused --key-cwd memolock once --tag t --id x --ttl 1h --key-cwd -- true
}

@test "an unusable store is an error, and the command does not run" {
  : >file
  refused "$PWD/file" memolock once --store "file://$PWD/file" --tag t --id x --ttl 1h -- counted true
  ran_times 0
}

@test "with --on-store-error run it runs without a mark, but not concurrently on this machine" {
  : >file
  local it=(once --store "file://$PWD/file" --on-store-error run --tag t --id "once-$$-$RANDOM" --ttl 1h)
  spawn "$MEMOLOCK_BIN" "${it[@]}" -- counted held a true 2>err
  await test -e a.started
  one_own_line "$(<err)"
  run -9 memolock "${it[@]}" --skip-status 9 -- counted true
  ran_times 1
  release a
  finish_all
  # not yet while a gc, which any test may start, has locked it
  gets_its_turn() { memolock "${it[@]}" -- counted true && ran 2; }
  await gets_its_turn
}

@test "with a bypass the command runs despite a mark" {
  once -- true
  MEMOLOCK_BYPASS=1 run -3 once -- sh -c 'exit 3'
  skips
}

# is_line N REGEX: asserts this line of the report.
is_line() { [[ $(sed -n "$1p" report) =~ $2 ]] || fail "no $2 in line $1 of: $(<report)"; }

@test "calls are reported" {
  run -3 once --report report -- sh -c 'sleep 0.1; exit 3'
  once --report report -- true
  hold --on-failure retry
  once --report report -- true
  release a
  is_line 1 '"outcome":"ran","tag":"t","id":"x","status":3,"age":null,"run_time":(0\.[1-9]|[1-9])'
  is_line 2 '"outcome":"skipped","tag":"t","id":"x","status":0,"age":[0-9]+\.[0-9].*"run_time":(0\.[1-9]|[1-9])'
  contains "$(sed -n 3p report)" '"outcome":"skipped"'
}
