#!/usr/bin/env bats
# --stale: an old entry is served immediately, and one background run refreshes it.

load ../helpers/common

# old: stores an entry that is stale from now on.
old() {
  memolock get --tag t --id x --ttl 1ms --stale 1h -- sh -c 'echo old; echo old err >&2' >/dev/null 2>&1
  await expired
}
expired() { [[ $(memolock ls | cut -f 3) == stale ]]; }

# stale OPTION… [--] COMMAND…: `get` that accepts the stale entry.
stale() { memolock get --tag t --id x --ttl 1h --stale 1h "$@"; }

# refreshed TEXT: whether the entry has this content, and no run is in progress. The background process may not have
# removed its lock then, and others may be about to take it and to find that there is nothing to do.
refreshed() { [[ $(memolock get --tag t --id x --stale 1h) == "$1" ]] && nobody_runs; }
nobody_runs() { ! memolock ls | grep -q running; }

@test "a stale entry is served immediately, both streams, while the command runs in the background" {
  old
  run --separate-stderr -0 stale -- counted held b echo new
  equal old "$output"
  equal 'old err' "$stderr"
  await is_running x
  release b
  await refreshed new
  ran_times 1
  await store_is_clean
}

@test "a window longer than the one that the entry was stored with does not make it usable again" {
  memolock get --tag t --id x --ttl 1ms --stale 2ms -- echo old
  expired() { [[ $(memolock ls | cut -f 3) == @(|expired) ]]; } # on a server it has been removed
  await expired
  for window in --stale --stale-if-error; do
    run -1 memolock get --tag t --id x $window 1h
    equal '' "$output"
  done
  run -3 stale --stale-if-error 1h -- counted sh -c 'exit 3'
  ran_times 1
}

@test "one run refreshes the entry, however many callers ask" {
  old
  for caller in {1..30}; do
    spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- counted held b echo new >"$caller.out" 2>/dev/null
  done
  finish_all
  for caller in {1..30}; do equal old "$(<"$caller.out")"; done
  release b
  await refreshed new
  ran_times 1
  await store_is_clean
}

# bats test_tags=slow
@test "in each of 30 rounds of 8 callers there is one run" {
  old
  # A background process that takes the lock only in the next round would refresh that round's entry.
  nobody_is_left() { ! pgrep -f "echo $round $PWD\$" >/dev/null; }
  for round in {1..30}; do
    for caller in {1..8}; do
      spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --stale 1h -v -- counted echo "$round" "$PWD" >/dev/null 2>&1
    done
    finish_all
    # shellcheck disable=SC2034 # finish_all's
    spawned=()
    await refreshed "$round $PWD"
    await nobody_is_left
    ran_times "$round"
    memolock get --tag t --id x --ttl 1ms --stale 1h --refresh -- echo old >/dev/null
    await expired
  done
}

@test "a command substitution does not wait for the background run" {
  old
  result=$(stale -- held b echo new 2>&1)
  equal $'old\nold err' "$result"
  await is_running x
  release b
  await refreshed new
}

@test "the background run holds none of the caller's descriptors, and has its own session" {
  old
  exec 7>caller
  stale -- sh -c 'ls /proc/self/fd >fds.new; readlink /proc/self/fd/0 >in
    ps -o sid=,tty= -p $$ >session; mv fds.new fds' >/dev/null 2>&1
  exec 7>&-
  await test -s fds
  # one more than the streams: ls reads the directory
  equal '0 1 2 3' "$(tr '\n' ' ' <fds | sed 's/ $//')"
  equal /dev/null "$(<in)"
  read -r sid tty <session
  equal '?' "$tty"
  ((sid != $(ps -o sid= -p $$)))
}

@test "the background run survives the end of its caller's process group" {
  old
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- held b echo new >/dev/null 2>&1
  finish $!
  kill -KILL -- "-$!" 2>/dev/null || true
  await is_running x
  release b
  await refreshed new
}

@test "after a failed refresh other callers do not try again, and the old entry is not replaced" {
  old
  export MEMOLOCK_LEASE=1h
  equal old "$(stale -- counted sh -c 'echo broken; exit 3' 2>/dev/null)"
  await ran 1
  await nobody_runs
  for _ in {1..5}; do equal old "$(stale -- counted sh -c 'exit 3' 2>/dev/null)"; done
  await nobody_runs
  ran_times 1
  # a caller that accepts no old entry runs the command again
  equal mended "$(get --ttl 1h -- echo mended)"
  await store_is_clean
}

@test "a failed refresh is tried again after a lease" {
  old
  export MEMOLOCK_LEASE=50ms
  tried_twice() {
    stale -- counted false >/dev/null 2>&1
    (($(runs) >= 2))
  }
  await tried_twice
}

@test "an entry is not served after its window" {
  old
  equal new "$(memolock get --tag t --id x --ttl 1h --stale 1ms -- counted echo new)"
  ran_times 1
}

@test "--refresh does not serve a stale entry" {
  old
  equal new "$(stale --refresh -- echo new)"
}

@test "a caller without --stale waits for a fresh entry" {
  old
  equal new "$(get --ttl 1h -- echo new)"
}

@test "a look-up with --stale serves a stale entry and runs nothing" {
  old
  equal old "$(memolock get --tag t --id x --stale 1h 2>/dev/null)"
  run -1 memolock get --tag t --id x --stale 1ms
}

@test "a command that refers to a descriptor is refreshed in the foreground" {
  old
  equal fresh "$(stale -- cat <(echo fresh))"
}

@test "stale= allows all callers to use the entry while it is refreshed" {
  memolock get --tag t --id x --ttl 1ms -- sh -c 'echo stale=1h >>"$MEMOLOCK_CONTROL"; echo old' >/dev/null
  await expired
  equal old "$(get --ttl 1h -- counted echo new)"
  await refreshed new
  ran_times 1
}

@test "a reader's shorter --ttl makes an entry stale earlier" {
  memolock get --tag t --id x --ttl 1h -- echo old >/dev/null
  sleep 0.01
  equal old "$(memolock get --tag t --id x --ttl 1ms --stale 1h -- counted echo new)"
  await ran 1
}

@test "a stale hit is recorded in the report, and reported with -v" {
  old
  run --separate-stderr -0 stale -v --report report -- true
  contains "$stderr" 't:x: stale, '
  contains "$(<report)" '"outcome":"stale"'
  await refreshed ''
  equal 1 "$(wc -l <report)"
}

# bats test_tags=slow
@test "if the background run is killed, the next caller refreshes" {
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
@test "the first process of a PID namespace, whose end would kill the background run, waits for it" {
  unshare -pf --mount-proc true 2>/dev/null || skip 'cannot create a namespace here'
  old
  run --separate-stderr -0 unshare -pf --mount-proc "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- \
    counted sh -c 'sleep 0.2; echo new'
  equal old "$output"
  refreshed new
  ran_times 1
  # the same if a shell with children has become memolock
  memolock get --tag t --id x --ttl 1ms --stale 1h --refresh -- echo old >/dev/null
  await expired
  # shellcheck disable=SC2016
  run -0 unshare -pf --mount-proc bash -c 'sleep 60 >/dev/null & exec "$@"' - "$MEMOLOCK_BIN" get --tag t --id x \
    --ttl 1h --stale 1h -- sh -c 'sleep 0.2; echo new' 3>&-
  equal old "$output"
  refreshed new
  # a signal ends this wait
  memolock get --tag t --id x --ttl 1ms --stale 1h --refresh -- echo old >/dev/null
  await expired
  spawn unshare -pf --mount-proc "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- held a echo new >out
  await test -e a.started
  # It has unblocked TERM, which has no effect on such a process until it waits.
  await test -s out
  caller=$(pgrep -P $!)
  is_ended() {
    kill -TERM "$caller" 2>/dev/null || true
    is_gone "$caller"
  }
  await is_ended
  finish $!
  equal 0 "$status"
  equal old "$(<out)"
}

@test "a background run that is the first process of a PID namespace completes, and its caller does not wait" {
  unshare -p true 2>/dev/null || skip 'cannot create a namespace here'
  old
  run --separate-stderr -0 timeout 60 unshare -p "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- held a echo new 3>&-
  release a
  equal old "$output"
  await refreshed new
}

@test "the background run leaves no zombie except its own process" {
  unshare -pf --mount-proc true 2>/dev/null || skip 'cannot create a namespace here'
  old
  # the first process of this namespace reaps no children
  spawn unshare -pf --mount-proc --kill-child sleep 60
  first_there() { first=$(pgrep -P $!); }
  await first_there
  in_namespace() { nsenter -t "$first" -p -m "$@"; }
  # ends when its child has ended, and its orphan has been reaped
  # shellcheck disable=SC2016
  work='true & child=$!; (sh -c "echo \$\$ >orphan" &)
    until [ ! -e "/proc/$child" ] || grep -q "^State:.Z" "/proc/$child/status"; do sleep 0.01; done
    until [ -s orphan ] && ! kill -0 "$(cat orphan)" 2>/dev/null; do sleep 0.01; done; echo new'
  run -0 in_namespace "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --stale 1h -- sh -c "$work"
  await refreshed new
  one_zombie() { (($(in_namespace ps -eo stat= | grep -c '^Z') == 1)); }
  await one_zombie
}
