#!/usr/bin/env bats
# lock: mutual exclusion, without storing anything.

load ../helpers/common

lock() { memolock lock --tag t --id x "$@"; }
spawn_lock() { spawn "$MEMOLOCK_BIN" lock --tag t --id x "$@"; }

# hold: starts a holder, which runs until `release a`.
hold() {
  spawn_lock -- held a true
  await test -e a.started
}

# nothing_is_kept: asserts that nothing is stored, not even anything that del could remove.
nothing_is_kept() {
  equal '' "$(memolock ls)"
  equal 0 "$(memolock del --tag t --id x)"
  run -1 memolock get --tag t --id x
  store_is_clean
}

none_overlapped() { [[ ! -e overlaps ]] || fail "$(wc -l <overlaps) overlapped"; }

@test "the command inherits the caller's standard streams, and its status is passed on" {
  echo input >in
  status=0
  lock -- sh -c 'cat; echo err >&2; exit 7' <in >out 2>err || status=$?
  equal 7 "$status"
  same_bytes in out
  equal err "$(<err)"
  lock -- sh -c 'readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >links' <in >out 2>err
  equal "$PWD/in"$'\n'"$PWD/links"$'\n'"$PWD/err" "$(<links)"
  lock -- readlink /proc/self/fd/1 >out
  equal "$PWD/out" "$(<out)"
  nothing_is_kept
}

@test "a command that is not found gives 127, one that cannot be run 126, one that is killed 128+N" {
  needs_vfork
  run --separate-stderr -127 lock -- ./nothing
  one_own_line "$stderr"
  : >file
  run -126 lock -- ./file
  run -137 lock -- sh -c 'kill -KILL $$'
  nothing_is_kept
}

@test "the command runs each time" {
  for i in 1 2 3; do lock -- counted true; done
  ran_times 3
}

@test "a second caller waits for its turn" {
  hold
  spawn_lock -- counted echo second >out
  await is_waiting $!
  ran_times 0
  is_empty out
  equal 1 "$(memolock ls | grep -c running)"
  release a
  finish_all
  equal second "$(<out)"
  ran_times 1
  nothing_is_kept
}

@test "--wait 0 does not wait, and reports that" {
  hold
  run --separate-stderr -124 lock --wait 0 -- counted true
  equal '' "$output"
  one_own_line "$stderr"
  ran_times 0
  release a
  finish_all
  run -0 lock --wait 0 -- counted true
  ran_times 1
}

@test "after --wait the caller gets 124, or runs the command with --on-timeout run" {
  hold
  run -124 lock --wait 20ms -- counted true
  run -124 lock --wait 20ms --on-timeout fail -- counted true
  ran_times 0
  run --separate-stderr -5 lock --wait 20ms --on-timeout run -- counted sh -c 'echo "$MEMOLOCK_RUN_TOKEN"; exit 5'
  equal '' "$output"
  one_own_line "$stderr"
  ran_times 1
  is_running x
  release a
  finish_all
}

@test "--on-timeout stale is refused for lock, and ignored if it is set for get elsewhere" {
  contains "$(memolock lock --help)" '--on-timeout fail|run '
  contains "$(memolock get --help)" '--on-timeout fail|run|stale '
  refused "'stale' must be one of fail, run" lock --on-timeout stale -- true
  hold
  MEMOLOCK_ON_TIMEOUT=stale run -124 lock --wait 20ms -- counted true
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  echo 'on-timeout = "stale"' >"$XDG_CONFIG_HOME/memolock/config.toml"
  run -124 lock --wait 20ms -- counted true
  MEMOLOCK_ON_TIMEOUT=run run -0 lock --wait 20ms -- counted true
  ran_times 1
  MEMOLOCK_ON_TIMEOUT=never refused MEMOLOCK_ON_TIMEOUT lock -- true
  release a
  finish_all
}

@test "other ids and tags do not wait" {
  hold
  run -0 memolock lock --tag t --id y --wait 0 -- true
  run -0 memolock lock --tag u --id x --wait 0 -- true
  release a
}

# bats test_tags=slow
@test "120 waiters run one at a time, and all get their turn" {
  hold
  for i in {1..120}; do spawn_lock -v -- alone true 2>"err.$i"; done
  await began_to_wait 120 'err.*'
  release a
  finish_all
  none_overlapped
  ran_times 120
  nothing_is_kept
}

# bats test_tags=slow
@test "40 concurrent callers run one at a time, and all get their turn, in each of 6 rounds" {
  for round in {1..6}; do
    for i in {1..40}; do spawn_lock -- alone true; done
    finish_all
    spawned=()
    none_overlapped
    ran_times $((40 * round))
  done
  nothing_is_kept
}

# bats test_tags=slow
@test "callers of lock and get exclude each other, and each caller of lock gets its turn" {
  hold
  for i in {1..30}; do
    spawn_lock -v -- alone true 2>"err.$i"
    spawn_get -v -- alone echo got >"out.$i" 2>"err.get.$i"
  done
  await began_to_wait 60 'err.*'
  release a
  finish_all
  none_overlapped
  ran_times 31
  equal '30 got' "$(cat out.* | sort | uniq -c | sed 's/^ *//')"
}

@test "a look-up that waits for a lock finds nothing when it is released" {
  hold
  spawn "$MEMOLOCK_BIN" get --tag t --id x --wait forever >out
  await is_waiting $!
  release a
  finish $!
  equal 1 "$status"
  is_empty out
}

@test "a get that waits for a lock runs its command when it is released, even if the holder failed" {
  spawn_lock -- held a sh -c 'echo mine; exit 9' >holder.out
  await test -e a.started
  spawn_get -- counted echo own >out
  await is_waiting $!
  release a
  finish $!
  equal 0 "$status"
  equal own "$(<out)"
  ran_times 1
}

@test "lock does not change an entry" {
  get -- echo entry
  lock -- true
  equal entry "$(memolock get --tag t --id x)"
  equal fresh "$(memolock ls | cut -f 3)"
}

@test "a set during the run does not end the wait" {
  hold
  spawn_lock -- counted true
  waiter=$!
  await is_waiting $waiter
  for i in 1 2 3; do
    echo "$i" | memolock set --tag t --id x --ttl 1h
    await is_waiting $waiter
  done
  ran_times 0
  release a
  finish_all
  ran_times 1
}

# bats test_tags=slow
@test "when the holder is killed a waiter takes over" {
  short_lease
  hold
  spawn_lock -- counted true
  await is_waiting $!
  end "${spawned[0]}"
  finish $!
  equal 0 "$status"
  ran_times 1
}

# bats test_tags=slow
@test "each waiter of a killed holder gets its turn" {
  short_lease
  local many=25 holder
  ! on_redis || many=5 # each takes one lease there
  for ((i = 0; i < many; i++)); do
    # shellcheck disable=SC2016
    spawn_lock -- sh -c 'echo $PPID >>"$RUNS"; exec sleep 60'
  done
  for ((i = 1; i <= many; i++)); do
    await ran "$i"
    holder=$(tail -n 1 "$RUNS")
    kill -KILL "$holder"
    finish "$holder"
    equal 137 "$status"
  done
  equal "$many" "$(sort -u "$RUNS" | wc -l)"
  lock -- true
  nothing_is_kept
}

# A command with a grandchild; both write their process ids to files.
family='echo $$ >command.pid; sh -c "echo \$\$ >grandchild.pid; exec sleep 60"; true'
family_is_gone() { is_gone "$(<command.pid)" && is_gone "$(<grandchild.pid)"; }

@test "a signal to the holder ends its command and all descendants, and a waiter takes over" {
  for signal in INT TERM HUP QUIT; do
    rm -f ./*.pid
    : >"$RUNS"
    spawn_lock -- sh -c "$family"
    local holder=$!
    await test -s grandchild.pid
    spawn_lock -- counted true
    await is_waiting $!
    kill -$signal $holder
    finish $holder
    equal $((128 + $(kill -l $signal))) "$status"
    family_is_gone || fail 'something of the command is left'
    finish $!
    ran_times 1
  done
  nothing_is_kept
}

@test "a signal ends a waiter immediately, and it runs nothing" {
  hold
  spawn_lock -- counted true
  await is_waiting $!
  kill -TERM $!
  finish $!
  equal 143 "$status"
  release a
  finish "${spawned[0]}"
  ran_times 0
}

# bats test_tags=slow
@test "--max-runtime stops the command with 124, and the next one runs" {
  stopped_in_time() {
    run -124 lock --max-runtime 4s -- sh -c "$family" && [[ -s grandchild.pid ]]
  }
  # again if 4 s were not enough to start both
  stopped_in_time || stopped_in_time
  family_is_gone || fail 'something of the command is left'
  lock --wait 0 -- true
}

@test "background processes of the command do not hold the lock" {
  lock -- sh -c 'sleep 60 3>&- & echo $! >background.pid'
  also_end "$(<background.pid)"
  lock --wait 0 -- true
}

@test "waiting for the run that the caller is part of is refused" {
  refused deadlock memolock lock --tag t --id x -- "$MEMOLOCK_BIN" lock --tag t --id x -- true
  refused deadlock memolock lock --tag t --id x -- "$MEMOLOCK_BIN" get --tag t --id x --ttl 0 -- true
  refused deadlock memolock get --tag t --id x --ttl 0 -- "$MEMOLOCK_BIN" lock --tag t --id x -- true
  run -0 lock -- "$MEMOLOCK_BIN" lock --tag t --id y -- true
}

@test "the command gets the variables of its run, and /dev/null as control file" {
  run -0 lock -- sh -c 'echo "$MEMOLOCK_RUN_TAG $MEMOLOCK_RUN_ID $MEMOLOCK_CONTROL"; test -n "$MEMOLOCK_RUN_TOKEN"'
  equal 't x /dev/null' "$output"
}

@test "an id and a command are required" {
  refused --id memolock lock --tag t -- true
  refused command memolock lock --tag t --id x
  refused command memolock lock --tag t --id x --
  refused --ttl memolock lock --tag t --id x --ttl 1h -- true
}

@test "the command inherits the signal actions that memolock was started with" {
  dispositions=(grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status)
  for before in --default-signal --ignore-signal=INT,HUP,PIPE; do
    equal "$(env $before "${dispositions[@]}")" \
      "$(env $before "$MEMOLOCK_BIN" lock --tag t --id x -- "${dispositions[@]}")"
  done
}

@test "on a terminal the command can use it, and Ctrl-C ends both" {
  script -qec "'$MEMOLOCK_BIN' lock --tag t --id x -- sh -c 'test -t 0 && test -t 1 && test -t 2 && : >tty'" /dev/null </dev/null
  [[ -e tty ]]
  mkfifo keys
  exec 4<>keys
  spawn script -qec "'$MEMOLOCK_BIN' lock --tag t --id x -- sh -c 'echo \$\$ >command.pid; exec sleep 60'" /dev/null <keys >/dev/null
  await test -s command.pid
  printf '\003' >&4
  finish $!
  equal 130 "$status"
  is_gone "$(<command.pid)"
  lock --wait 0 -- true
}

@test "with a bypass the command runs even if the lock is held" {
  hold
  MEMOLOCK_BYPASS=1 run -3 lock -- sh -c 'exit 3'
  release a
}

@test "an unusable store is an error, and the command does not run" {
  : >file
  refused "$PWD/file" memolock lock --store "file://$PWD/file" --tag t --id x -- counted true
  ran_times 0
}

@test "with --on-store-error run the callers on this machine still exclude each other" {
  : >file
  local id=lock-$$-$RANDOM elsewhere=(--store "file://$PWD/file" --on-store-error run)
  spawn "$MEMOLOCK_BIN" lock "${elsewhere[@]}" --tag t --id "$id" -- held a true 2>err
  await test -e a.started
  one_own_line "$(<err)"
  run -124 memolock lock "${elsewhere[@]}" --tag t --id "$id" --wait 0 -- counted true
  ran_times 0
  release a
  finish_all
  # not at once: a gc, which any test may start, locks it for a moment
  run -0 memolock lock "${elsewhere[@]}" --tag t --id "$id" --wait 20s -- counted true
  ran_times 1
}

@test "calls are reported" {
  lock --report report -- true
  hold
  run -124 lock --wait 0 --report report -- true
  release a
  contains "$(head -n 1 report)" '"outcome":"ran"'
  contains "$(tail -n 1 report)" '"outcome":"timeout"'
}
