#!/usr/bin/env bats
# --stale: an old entry is served at once, and one run in the background refreshes it.

load ../helpers/common

# old: stores an entry that is stale from now on.
old() {
  memolock get --tag t --id x --ttl 1ms --stale 1h -- sh -c 'echo old; echo old err >&2' >/dev/null 2>&1
  await expired
}
expired() { [[ $(memolock ls | cut -f 3) == stale ]]; }

# stale OPTION… [--] COMMAND…: `get` that takes it.
stale() { memolock get --tag t --id x --ttl 1h --stale 1h "$@"; }

# refreshed TEXT: whether the entry is that now, and nobody is at work.
refreshed() { [[ $(memolock get --tag t --id x --stale 1h) == "$1" ]] && nobody_runs; }
nobody_runs() { ! memolock ls | grep -q running; }

@test "a stale entry is served at once, both streams, while the command runs in the background" {
  old
  run --separate-stderr -0 stale -- counted held b echo new
  equal old "$output"
  equal 'old err' "$stderr"
  await is_running x
  release b
  await refreshed new
  ran_times 1
  store_is_clean
}

@test "a window that is longer than the one that the entry was stored with does not bring it back" {
  memolock get --tag t --id x --ttl 1ms --stale 2ms -- echo old
  expired() { [[ $(memolock ls | cut -f 3) == @(|expired) ]]; } # on a server it is gone
  await expired
  for window in --stale --stale-if-error; do
    run -1 memolock get --tag t --id x $window 1h
    equal '' "$output"
  done
  run -3 stale --stale-if-error 1h -- counted sh -c 'exit 3'
  ran_times 1
}

@test "one run refreshes it, however many ask" {
  old
  for caller in {1..30}; do
    spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- counted held b echo new >"$caller.out" 2>/dev/null
  done
  finish_all
  for caller in {1..30}; do equal old "$(<"$caller.out")"; done
  release b
  await refreshed new
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "in 30 rounds of 8 callers each round has one run" {
  old
  for round in {1..30}; do
    for caller in {1..8}; do
      spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --stale 1h -v -- counted echo "$round" >/dev/null 2>&1
    done
    finish_all
    # shellcheck disable=SC2034 # finish_all's
    spawned=()
    await refreshed "$round"
    ran_times "$round"
    memolock get --tag t --id x --ttl 1ms --stale 1h --refresh -- echo old >/dev/null
    await expired
  done
}

@test "a command substitution does not wait for the background" {
  old
  result=$(stale -- held b echo new 2>&1)
  equal $'old\nold err' "$result"
  await is_running x
  release b
  await refreshed new
}

@test "the background holds none of the caller's descriptors, and has a session of its own" {
  old
  exec 7>caller
  stale -- sh -c 'ls /proc/self/fd >fds.new; readlink /proc/self/fd/0 >in
    ps -o sid=,tty= -p $$ >session; mv fds.new fds' >/dev/null 2>&1
  exec 7>&-
  await test -s fds
  # one more than the streams: ls reads the folder
  equal '0 1 2 3' "$(tr '\n' ' ' <fds | sed 's/ $//')"
  equal /dev/null "$(<in)"
  read -r sid tty <session
  equal '?' "$tty"
  ((sid != $(ps -o sid= -p $$)))
}

@test "the background survives the end of its caller's process group" {
  old
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- held b echo new >/dev/null 2>&1
  finish $!
  kill -KILL -- "-$!" 2>/dev/null || true
  await is_running x
  release b
  await refreshed new
}

@test "a failed refresh is not repeated by every caller, and leaves the old entry" {
  old
  export MEMOLOCK_LEASE=1h
  equal old "$(stale -- counted sh -c 'echo broken; exit 3' 2>/dev/null)"
  await ran 1
  await nobody_runs
  for _ in {1..5}; do equal old "$(stale -- counted sh -c 'exit 3' 2>/dev/null)"; done
  await nobody_runs
  ran_times 1
  # who takes no old entry has it tried again
  equal mended "$(get --ttl 1h -- echo mended)"
  store_is_clean
}

@test "a failed refresh is repeated after a lease" {
  old
  export MEMOLOCK_LEASE=50ms
  tried_twice() {
    stale -- counted false >/dev/null 2>&1
    (($(runs) >= 2))
  }
  await tried_twice
}

@test "past its window an entry is not served" {
  old
  equal new "$(memolock get --tag t --id x --ttl 1h --stale 1ms -- counted echo new)"
  ran_times 1
}

@test "--refresh takes no stale entry" {
  old
  equal new "$(stale --refresh -- echo new)"
}

@test "who does not say --stale waits for a fresh entry" {
  old
  equal new "$(get --ttl 1h -- echo new)"
}

@test "a look-up with --stale takes it and runs nothing" {
  old
  equal old "$(memolock get --tag t --id x --stale 1h 2>/dev/null)"
  run -1 memolock get --tag t --id x --stale 1ms
}

@test "a command that names a descriptor is refreshed in the foreground" {
  old
  equal fresh "$(stale -- cat <(echo fresh))"
}

@test "stale= has everybody take the entry while it is refreshed" {
  memolock get --tag t --id x --ttl 1ms -- sh -c 'echo stale=1h >>"$MEMOLOCK_CONTROL"; echo old' >/dev/null
  await expired
  equal old "$(get --ttl 1h -- counted echo new)"
  await refreshed new
  ran_times 1
}

@test "a shorter --ttl of the reader's counts for what is stale" {
  memolock get --tag t --id x --ttl 1h -- echo old >/dev/null
  sleep 0.01
  equal old "$(memolock get --tag t --id x --ttl 1ms --stale 1h -- counted echo new)"
  await ran 1
}

@test "what was served stale is reported, and said with -v" {
  old
  run --separate-stderr -0 stale -v --report report -- true
  contains "$stderr" 't:x: stale, '
  contains "$(<report)" '"outcome":"stale"'
  await refreshed ''
  equal 1 "$(wc -l <report)"
}

# bats test_tags=slow
@test "when the background is killed the next caller refreshes" {
  short_lease
  old
  stale -- counted held b echo never >/dev/null 2>&1
  await test -e b.started
  holder=$(memolock ls | cut -f 7)
  also_end "${holder##*:}"
  bury "${holder##*:}"
  equal old "$(stale -- counted echo new 2>/dev/null)"
  await refreshed new
  ran_times 2
}

# bats test_tags=slow
@test "in the first process of a namespace, whose end would end it, the run in the background is waited for" {
  unshare -pf --mount-proc true 2>/dev/null || skip 'cannot create a namespace here'
  old
  run --separate-stderr -0 unshare -pf --mount-proc "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- \
    counted sh -c 'sleep 0.2; echo new'
  equal old "$output"
  refreshed new
  ran_times 1
  # nor does it end with a shell's process that has become memolock, and had children
  memolock get --tag t --id x --ttl 1ms --stale 1h --refresh -- echo old >/dev/null
  await expired
  # shellcheck disable=SC2016
  run -0 unshare -pf --mount-proc bash -c 'sleep 60 >/dev/null & exec "$@"' - "$MEMOLOCK_BIN" get --tag t --id x \
    --ttl 1h --stale 1h -- sh -c 'sleep 0.2; echo new' 3>&-
  equal old "$output"
  refreshed new
  # a signal ends that
  memolock get --tag t --id x --ttl 1ms --stale 1h --refresh -- echo old >/dev/null
  await expired
  spawn unshare -pf --mount-proc "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- held a echo new >out
  await test -e a.started
  kill -TERM "$(pgrep -P $!)"
  finish $!
  equal 0 "$status"
  equal old "$(<out)"
}

@test "where the run in the background begins a namespace, it goes on to its end, and nobody waits for it" {
  unshare -p true 2>/dev/null || skip 'cannot create a namespace here'
  old
  run --separate-stderr -0 timeout 60 unshare -p "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- held a echo new 3>&-
  release a
  equal old "$output"
  await refreshed new
}

@test "the run in the background leaves no process but its own unreaped" {
  unshare -pf --mount-proc true 2>/dev/null || skip 'cannot create a namespace here'
  old
  # the first process of this namespace waits for nobody
  spawn unshare -pf --mount-proc --kill-child sleep 60
  first_there() { first=$(pgrep -P $!); }
  await first_there
  in_namespace() { nsenter -t "$first" -p -m "$@"; }
  # ends when its orphan has been reaped
  # shellcheck disable=SC2016
  work='true & (sh -c "echo \$\$ >orphan" &)
    until [ -s orphan ] && ! kill -0 "$(cat orphan)" 2>/dev/null; do sleep 0.01; done; echo new'
  run -0 in_namespace "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- sh -c "$work"
  await refreshed new
  one_zombie() { (($(in_namespace ps -eo stat= | grep -c '^Z') == 1)); }
  await one_zombie
}
