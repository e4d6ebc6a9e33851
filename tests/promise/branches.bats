#!/usr/bin/env bats
# Every branch of the protocol of get, lock and once, on a store in memory and without processes: what a call does,
# step by step. helpers/protocol_branches.cpp describes the arguments, helpers/memory_store.hpp the answers.
# store: any

load ../helpers/common

setup() {
  isolate
  echo artifact >there
}

# Sequences of steps that many calls have in common. A line "@NAME REST" in a test stands for the sequence of that name,
# with REST, which can be empty, in place of "…": "@drain 2s" for "release stdout" and "drain for 2s".
declare -gA sequences=(
  # looking up
  ['hit']='> t:x: hit, 10s old, took 2s
replay…
hit 0'
  ['stale']='look up: stale…
> t:x: the entry is not fresh: 10s old'
  ['due']='look up: fresh
> t:x: 10s old; refreshing it before it expires'
  ['serve-stale']='> t:x: stale, 10s old, took 2s
replay stale
stale 0'
  ['refresh']='end wait limit
is locked: no
daemonize…'
  ['look-again']='acquire: free
renew
look up…'
  # running the command
  ['start']='begin: ok
> t:x: running the command
start…'
  ['run']='acquire: free
@start spooled…'
  ['first-run']='look up: none
@run…'
  ['silent-run']='acquire: free
begin: ok
start spooled'
  ['drain']='release stdout
drain for…'
  ['published']='publish…: done
@drain forever'
  ['stored']='@published kept, status 0, ttl 1m…
> t:x: stored for 1m, took 1s
miss 0, stored'
  ['run-and-store']='@run
@stored…'
  ['first-run-and-store']='look up: none
@run-and-store…'
  ['failed']='> t:x: the command exited with status 3; not stored
miss 3'
  ['not-stored']='> t:x: not stored…
miss 0, store error…'
  ['interrupted']='> t:x: interrupted…
interrupted 143, signal 15'
  # waiting while another process holds the lock
  ['held']='acquire: held
watch…'
  ['find-run']='look up: none
@held…'
  ['watch']='watch: fresh
> t:x: waiting for host:7, running for 12s
wait…'
  ['wait']='acquire: held
@watch…'
  ['first-wait']='look up: none
@wait…'
  ['time-out']='> t:x: timed out after waiting 5s for host:7
timeout 124'
  ['answer']='> t:x: waited; the run took 2s, status 0
replay…
waited 0'
  ['failed-answer']='> t:x: waited; the run took 2s, status 3
replay failed
waited 3'
  # --external, lock and once
  ['promise']='look up: none
acquire for others: free
@start plain, stdout to stderr'
  ['await-promise']='@promise
> t:x: started; waiting for the result
await promise for 1m
promise…'
  ['run-locked']='acquire: free
@start plain…'
  ['run-once']='mark: none
acquire: free
mark: none
@start plain…'
  ['marked']='publish marked, status 0, ttl 59s: done
ran 0, stored'
)

# expand LINE…: the lines, with the sequences that they name written out.
expand() {
  local line
  for line; do
    if [[ $line =~ ^@([a-z-]+)(.*) ]]; then
      [[ -v sequences[${BASH_REMATCH[1]}] ]] || fail "no such sequence: $line"
      mapfile -t <<<"${sequences[${BASH_REMATCH[1]}]//…/"${BASH_REMATCH[2]}"}"
      expand "${MAPFILE[@]}"
    else
      printf '%s\n' "$line"
    fi
  done
}

# steps VERB ARGUMENT…: a call takes the steps on stdin, and no others. Where stdin has lines "$ ARGUMENT…", each is a
# call with these arguments too, and takes the steps below it; of several in a row, each takes the same steps.
steps() {
  local line
  local -a calls=() wanted=()
  while IFS= read -r line; do
    if [[ $line != '$'* ]]; then
      wanted+=("$line")
      continue
    fi
    if ((${#wanted[@]} > 0)); then
      check_calls "$@"
      calls=() wanted=()
    fi
    calls+=("${line#'$'}")
  done
  check_calls "$@"
}

# check_calls VERB ARGUMENT…: each of `calls`, or the one call if there are none, takes the steps in `wanted`.
check_calls() {
  local expected call
  local -a all
  expected=$(expand "${wanted[@]}")
  for call in "${calls[@]:-}"; do
    eval "all=(\"\$@\" $call)"
    run "$HELPERS/protocol_branches" "${all[@]}"
    # the reason is a text of libarchive
    output=$(sed -E 's/(the stored artifacts are damaged): [^;]*/\1/' <<<"$output")
    equal "status 0 of ${all[*]@Q}"$'\n'"$expected" "status $status of ${all[*]@Q}"$'\n'"$output"
  done
}

# gives_up_after N OUTCOME VERB ARGUMENT…: a call finds no run to wait for N times, and then ends with this outcome.
gives_up_after() {
  run -0 "$HELPERS/protocol_branches" "${@:3}"
  equal "$2 after $1" "${lines[-1]} after $(grep -c 'watch: none' <<<"$output")"
}

# ---- the look-up ----

@test "a fresh entry is replayed, one of another program too" {
  steps get <<'END'
$ 'look up=fresh'
look up: fresh
@hit fresh
$ 'look up=fresh+foreign'
look up: fresh+foreign
> t:x: hit, stored by another program, took 2s
replay fresh+foreign
hit 0
END
}

@test "a miss runs the command, publishes the result, releases stdout and waits for the readers, in this order" {
  steps get <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "an entry that is damaged, too large, dated in the future or expired is a miss" {
  local entry option message
  while IFS='|' read -r entry option message; do
    steps get "look up=$entry" ${option:+"$option"} <<END
look up: $entry
> t:x: $message
@run-and-store
END
  done <<'END'
damaged||the stored entry is damaged; treated as a miss
large|--max-entry=9|the entry is larger than --max-entry (9 B); treated as a miss
later||the entry is not fresh: dated in the future
expired||the entry is not fresh: 10s old
fresh|--refresh|the entry is older than this call (--refresh): 10s old
END
}

@test "a stored failure answers, reports for how long, and requires no artifacts" {
  steps get failure=failed --cache-failures=1m <<'END'
$ 'look up=none'
look up: none
failure: failed
> t:x: hit, 10s old, took 2s; a failure with status 3, stored for another 50s
replay failed
hit 3
$ --artifact=made
include artifacts
look up: none
failure: failed
> t:x: hit, 10s old, took 2s; a failure with status 3, stored for another 50s
replay failed
hit 3
END
}

@test "a stored failure that is damaged, dated in the future or of another program does not answer" {
  steps get <<'END'
$ failure=failed+damaged
look up: none
failure: failed+damaged
> t:x: the stored failure is damaged; treated as a miss
@run-and-store
$ failure=failed+later
look up: none
failure: failed+later
> t:x: the stored failure is dated in the future; ignored
@run-and-store
$ failure=failed+foreign
look up: none
failure: failed+foreign
@run-and-store
END
}

@test "a look-up that finds nothing is absent, even with a wait if the lock is free" {
  steps get --look-up <<'END'
$
look up: none
watch: none
> t:x: no usable entry
absent 1
$ --wait=1m
look up: none
watch: none
is locked: no
> t:x: no usable entry
absent 1
END
}

@test "a look-up does not refresh a stale entry" {
  steps get --look-up --stale=1m 'look up=stale' <<'END'
@stale
@serve-stale
END
}

@test "a store that fails, or a signal, ends the call before the command; a start that fails releases the lock" {
  steps get <<'END'
$ 'look up=error'
look up: error
error: look up failed
$ 'look up=interrupt'
look up: interrupt
error: interrupted
$ lock=fails
look up: none
acquire: fails
error: acquire failed
$ begin=error
look up: none
acquire: free
begin: error
abandon
error: begin failed
$ start=error
look up: none
acquire: free
begin: ok
> t:x: running the command
abandon
error: the command cannot be started
END
}

# ---- the second look-up, under the lock ----

@test "an entry stored before the lock was acquired is found under the lock" {
  steps get 'look up=none,fresh' changed-since-look-up=yes <<'END'
look up: none
@look-again: fresh
abandon
@hit fresh
END
}

@test "without an entry under the lock, or with a stale one, the command runs" {
  steps get changed-since-look-up=yes <<'END'
$ 'look up=none,none'
look up: none
@look-again: none
@start spooled
@stored
$ 'look up=none,stale' --stale=1m
look up: none
@look-again: stale
> t:x: the entry is not fresh: 10s old
@start spooled
@stored, retained 2m
END
}

@test "under the lock it may be too soon to run the command again" {
  steps get 'look up=none,stale' changed-since-look-up=yes failure=none,failed+killed --stale=1m <<'END'
look up: none
@look-again: stale
> t:x: the entry is not fresh: 10s old
failure: failed+killed
> t:x: too soon to run the command again: it was killed by signal KILL (9)
abandon
@serve-stale
END
}

# ---- stale entries and refreshes ----

@test "a stale entry is served, unless it is damaged, and the caller does not run the command" {
  steps get --stale=1m <<'END'
$ 'look up=stale'
@stale
@refresh: caller
@serve-stale
$ 'look up=stale+damaged'
@stale+damaged
> t:x: the stored entry is damaged; treated as a miss
@run-and-store, retained 2m
END
}

@test "the background process runs the command under the lock, unless it finds another entry there" {
  steps get --stale=1m role=background <<'END'
$ 'look up=stale'
@stale
@refresh: background
@run
@published kept, status 0, ttl 1m, retained 2m
> t:x: stored for 1m, took 1s
background 0
$ 'look up=stale' changed-since-look-up=yes
@stale
@refresh: background
@look-again: stale
@start spooled
@published kept, status 0, ttl 1m, retained 2m
> t:x: stored for 1m, took 1s
background 0
$ 'look up=stale,fresh' changed-since-look-up=yes
@stale
@refresh: background
@look-again: fresh
abandon
background 0
END
}

@test "the background process ends without a message if the lock is held, or the store fails" {
  local lock
  for lock in held fails; do
    steps get 'look up=stale' --stale=1m role=background lock=$lock <<END
@stale
@refresh: background
acquire: $lock
background 0
END
  done
}

@test "a failed refresh prevents other refreshes for one lease" {
  steps get 'look up=stale' --stale=1m role=background command=3 <<'END'
@stale
@refresh: background
@run
@published failed, status 3, retained 1m
> t:x: the command exited with status 3; stored for 0ms
background 0
END
}

@test "after a failed refresh a stale entry is served without another one, until the failure has expired" {
  steps get 'look up=stale' --stale=1m <<'END'
$ failure=failed+killed
@stale
failure: failed+killed
> t:x: too soon to run the command again: it was killed by signal KILL (9)
@serve-stale
$ failure=failed+expired
@stale
failure: failed+expired
@refresh: caller
@serve-stale
END
}

@test "a stale entry is served without a refresh if the lock is held or cannot be checked; a signal ends the call" {
  steps get 'look up=stale' --stale=1m <<'END'
$ 'is locked=yes'
@stale
end wait limit
is locked: yes
@serve-stale
$ 'is locked=error'
@stale
end wait limit
is locked: error
> is locked failed
@serve-stale
$ 'is locked=interrupt'
@stale
end wait limit
is locked: interrupt
error: interrupted
END
}

@test "a command that refers to a descriptor other than a standard stream runs in the foreground" {
  steps get 'look up=stale' --stale=1m <<'END'
$ --word=/dev/fd/63
$ --word=a=/proc/self/fd/4
@stale
@run-and-store, retained 2m
$ --word=/dev/fd/1
@stale
@refresh: caller
@serve-stale
END
}

@test "a refresh that stores nothing does not need the control file" {
  steps get 'look up=stale' --stale=1m <<'END'
$ --no-keep role=background
@stale
@refresh: background
@silent-run
@published shared, status 0, retained 2m
background 0
$ --ttl=0
@stale
@refresh: caller
@serve-stale
END
}

# ---- early refreshes ----

@test "an entry that is due is refreshed by one caller; while that one holds the lock the others use the entry" {
  steps get 'look up=fresh' --early=1000000000 <<'END'
$ lock=free
@due
@run, stdout deferred
@stored
$ lock=held
@due
acquire: held
@hit fresh
END
}

@test "an entry that is not due is replayed, and a look-up replays one that is due" {
  steps get 'look up=fresh' <<'END'
$ --early=0.000000001
$ --early=1000000000 --look-up
look up: fresh
@hit fresh
END
}

@test "the choice to refresh applies only to the entry that it was made for, even when found again under the lock" {
  steps get --early=1000000000 changed-since-look-up=yes <<'END'
$ 'look up=fresh'
@due
@look-again: fresh
@start spooled, stdout deferred
@stored
$ 'look up=fresh,fresh+own'
@due
@look-again: fresh+own
abandon
@hit fresh+own
END
}

# ---- waiting ----

@test "a waiter is woken with a success, a failure, or a second transient failure in a row" {
  local answer status
  while IFS='|' read -r answer status; do
    steps get lock=held watch=fresh "wait=$answer" <<END
@first-wait: $answer
> t:x: waited; the run took 2s, status $status
replay $answer
waited $status
END
  done <<'END'
fresh|0
failed|3
killed+twice|137
END
}

@test "a waiter runs the command after a failure with --on-failure retry, a damaged answer, or a run without a result" {
  steps get lock=held,free watch=fresh <<'END'
$ wait=failed --retry
@first-wait: failed
@first-run-and-store
$ wait=damaged
@first-wait: damaged
> t:x: the stored entry is damaged; treated as a miss
@first-run-and-store
$ wait=gone
$ wait=gone forgotten=yes
@first-wait: gone
> t:x: the run ended without a result
@first-run-and-store
END
}

@test "a waiter runs the command after another's transient failure, and counts it; a look-up returns the failure" {
  steps get watch=fresh wait=killed <<'END'
$ lock=held,free command=killed
@first-wait: killed
@first-run
@published shared, status 137, transient failures 2
> t:x: the command was killed by signal KILL (9); not stored
miss 137
$ --look-up --wait=1m
look up: none
@watch: killed
> t:x: waited; the run took 2s, status 137
replay killed
waited 137
END
}

@test "a waiter serves an older entry in place of a failure with --stale-if-error" {
  steps get lock=held watch=fresh 'look up=stale' --stale-if-error=1m wait=failed <<'END'
@stale
@wait: failed
> t:x: the command failed with status 3; serving the stored entry (10s old)
replay stale
stale 0
END
}

@test "if the result could not be shared, a waiter runs the command without the store, and a look-up is absent" {
  steps get watch=fresh wait=unstored <<'END'
$ lock=held
@first-wait: unstored
> t:x: the result could not be shared; running the command without the store
start plain
bypass 0
$ --look-up --wait=1m
look up: none
@watch: unstored
> t:x: the result could not be shared
absent 1
END
}

@test "a run that began before the call with --refresh, or that was deleted, does not answer a waiter" {
  steps get watch=fresh <<'END'
$ lock=held,free wait=fresh --refresh
$ lock=held,free wait=fresh forgotten=yes
@first-wait: fresh
@first-run-and-store
$ lock=held wait=later --refresh
@first-wait: later
@answer later
END
}

@test "a signal or a store error ends the wait, and a signal the pause before another attempt" {
  steps get lock=held <<'END'
$ watch=fresh wait=interrupted
@first-wait: interrupted
interrupted 143, signal 15
$ watch=fresh wait=error
@first-wait: error
error: wait failed
$ watch=signal
@find-run: signal
interrupted 143, signal 15
END
}

@test "a waiter looks up once more, and waits if it finds nothing" {
  steps get lock=held watch=fresh changed-since-look-up=yes <<'END'
$ 'look up=none,fresh'
@find-run: fresh
look up: fresh
> t:x: waited, 10s old, took 2s
replay fresh
waited 0
$ 'look up=none' wait=fresh
@find-run: fresh
look up: none
> t:x: waiting for host:7, running for 12s
wait: fresh
@answer fresh
END
}

@test "a lock without a visible run is tried again" {
  steps get lock=held,held,free watch=none --debug <<'END'
@find-run: none
> t:x: the lock is held, but no run is visible yet; trying again
@find-run: none
> t:x: the lock is held, but no run is visible yet; trying again
@first-run-and-store
END
}

@test "waiting for the run that this process is in is refused, and waiting for another one is not" {
  steps get lock=held --inside <<'END'
$ watch=own
@find-run: own
error: deadlock: this command runs inside the run of t:x, which it would wait for
$ watch=fresh wait=fresh
@first-wait: fresh
@answer fresh
END
}

@test "a waiter reports what it waits for: a promise or another program" {
  steps get lock=held wait=fresh <<'END'
$ watch=external
@find-run: external
> t:x: waiting for host:7, promised 12s ago
wait: fresh
@answer fresh
$ watch=foreign
@find-run: foreign
> t:x: waiting for another program
wait: fresh
@answer fresh
END
}

@test "a look-up waits for a run that is not visible yet" {
  steps get --look-up --wait=1m 'is locked=yes' watch=none,fresh 'look up=none,none,fresh' <<'END'
look up: none
watch: none
is locked: yes
look up: none
@watch: gone
> t:x: the run ended without a result
look up: fresh
> t:x: waited, 10s old, took 2s
replay fresh
waited 0
END
}

@test "a look-up that has waited gives a waiter time to take over from a dead holder" {
  steps get --look-up --wait=1m watch=fresh,none,fresh wait=gone,fresh <<'END'
look up: none
@watch: gone
> t:x: the run ended without a result
look up: none
watch: none
is locked: no
look up: none
@watch: fresh
@answer fresh
END
}

@test "after that time the look-up is absent; the time starts again with each run that it sees" {
  gives_up_after 17 'absent 1' get --look-up --wait=1m wait=gone watch=fresh,none
  gives_up_after 27 'absent 1' get --look-up --wait=1m wait=gone \
    watch=fresh,none,none,none,none,none,none,none,none,none,none,fresh,none
}

# ---- timeouts ----

@test "a wait that times out ends with 124, with --on-timeout stale only if there is no intact entry" {
  steps get lock=held watch=fresh --wait=5s wait=timed-out <<'END'
$
$ --on-timeout=stale
@first-wait: timed-out
@time-out
$ 'look up=stale'
@stale
@wait: timed-out
@time-out
$ 'look up=stale+damaged' --on-timeout=stale
@stale+damaged
@wait: timed-out
> t:x: the stored entry is damaged; treated as a miss
@time-out
END
}

@test "a wait of 0 does not wait, and reports the holder" {
  local holder whom
  while IFS='|' read -r holder whom; do
    steps get lock=held "watch=$holder" --wait=0 <<END
@find-run: $holder
> t:x: timed out after waiting 0ms for $whom
timeout 124
END
  done <<'END'
fresh|host:7
none|an unknown process
external|the promise of host:7
foreign|another program
END
}

@test "with Level::quiet a wait reports nothing" {
  steps get lock=held watch=fresh --quiet <<'END'
$ wait=fresh
@find-run: fresh
wait: fresh
replay fresh
waited 0
$ --wait=0
@find-run: fresh
timeout 124
END
}

# bats test_tags=slow
@test "a deadline that passes between two attempts ends the wait" {
  slow_wait() {
    steps get lock=held watch=fresh --wait=1s wait=slow <<'END'
@first-wait: slow
> t:x: the run ended without a result
> t:x: timed out after waiting 1s for host:7
timeout 124
END
  }
  # again if it has passed before the wait
  slow_wait || slow_wait
}

@test "--on-timeout run runs the command without the store, if there is a command" {
  steps get watch=fresh --wait=5s wait=timed-out --on-timeout=run <<'END'
$ lock=held
@first-wait: timed-out
> t:x: timed out after waiting 5s for host:7; running the command without the store
start plain
bypass 0
$ --look-up
look up: none
@watch: timed-out
@time-out
END
}

@test "--on-timeout stale and --stale-if-error serve an expired entry after the wait" {
  steps get lock=held watch=fresh 'look up=stale' --wait=5s wait=timed-out <<'END'
$ --on-timeout=stale
$ --stale-if-error=1m
@stale
@wait: timed-out
> t:x: timed out after waiting 5s for host:7
@serve-stale
END
}

# ---- how the run of a holder ends ----

@test "a failure is shared, and stored with --cache-failures unless nothing is to be stored" {
  steps get command=3 <<'END'
$
@first-run
@published shared, status 3
@failed
$ --cache-failures=10s
@first-run
@published failed, status 3
> t:x: the command exited with status 3; stored for 10s
miss 3, stored
$ --cache-failures=10s --no-keep
look up: none
@silent-run
@published shared, status 3
@failed
END
}

@test "a failure, a signal and a start that fails serve the older entry with --stale-if-error" {
  local command published message
  while IFS='|' read -r command published message; do
    steps get 'look up=stale' --stale-if-error=1m "command=$command" <<END
@stale
@run, stdout deferred
publish shared, $published: done
drain for forever
replay stale
> t:x: $message the stored entry (10s old)
stale 0, instead of a failure
END
  done <<'END'
3|status 3|the command exited with status 3; served
killed|status 137, transient failures 1|the command was killed by signal KILL (9); served
not-started|status 127, transient failures 1|served
END
}

@test "a success does not serve the older entry" {
  steps get 'look up=stale' --stale-if-error=1m <<'END'
@stale
@run, stdout deferred
@stored, retained 2m
END
}

@test "a signal and a start that fails are transient failures; a signal without a name is shown as a number" {
  steps get <<'END'
$ command=odd-signal
@first-run
@published shared, status 228, transient failures 1
> t:x: the command was killed by signal 100; not stored
miss 228
$ command=not-started
@first-run
@published shared, status 127, transient failures 1
miss 127
END
}

@test "a run that is interrupted stores nothing, and ends by the signal or, if the command caught it, with its status" {
  steps get <<'END'
$ command=interrupted
@first-run
give up
@drain forever
@interrupted; nothing was stored
$ command=caught
@first-run
give up
@drain forever
> t:x: interrupted; nothing was stored
interrupted 0
$ command=stopped+caught --kill
@first-run, stopped with the lease
give up
@drain 2s
@interrupted; nothing was stored
END
}

@test "a command stopped at --max-runtime shares the status 124; one stopped because of its lease shares nothing" {
  steps get <<'END'
$ command=timed-out --max-runtime=5s
@first-run
publish shared, status 124: done
@drain 2s
> t:x: the command was stopped after --max-runtime 5s
miss 124
$ command=stopped --kill
@first-run, stopped with the lease
abandon
@drain 2s
> t:x: the command was stopped: its lease could not be renewed
miss 143
END
}

@test "a run of an unknown status publishes nothing" {
  steps get command=unknown <<'END'
@first-run
abandon
@drain forever
> t:x: not stored: the exit status of the command is unknown
miss 125
END
}

@test "after the result is stored, processes that could not be killed are named, and late output is passed on" {
  steps get <<'END'
$ command=left-running
@first-run
@published kept, status 0, ttl 1m
> t:x: still running, could not be killed: 12 (sudo)
> t:x: stored for 1m, took 1s
miss 0, stored
$ late=yes
@first-run
@published kept, status 0, ttl 1m
> t:x: stored for 1m, took 1s
late output
miss 0, stored
END
}

@test "output that the spool refuses is not stored, and the waiters are notified immediately" {
  steps get command=refused <<'END'
@first-run
@published unstored, status 0
@not-stored: cannot read the command's output: Input/output error
END
}

@test "after the start of a command no memory is needed to wait for its end" {
  for call in get 'get --external' lock once bypass; do
    # shellcheck disable=SC2086 # words
    run -0 "$HELPERS/protocol_branches" $call
    # shellcheck disable=SC2086
    steps $call start=no-memory <<<"$output"
  done
}

@test "the lock of a long run is renewed" {
  steps get command=long <<'END'
@first-run
renew
@stored
END
}

@test "a success is shared but not stored without a ttl, without keep, or if the control file says so" {
  steps get <<'END'
$ --ttl=0
$ control=cache=no
@first-run
@published shared, status 0
miss 0
$ control=rubbish
@first-run
@published shared, status 0
> t:x: not stored: the command wrote an invalid line to MEMOLOCK_CONTROL: rubbish
miss 0
$ --no-keep
look up: none
@silent-run
@published shared, status 0
miss 0
END
}

@test "an entry is retained for its ttl and stale windows, which the command can set; --jitter shortens the ttl" {
  steps get <<'END'
$ --stale=10s --stale-if-error=30s
@first-run-and-store, retained 1m30s
$ $'control=ttl=5s\nstale=10s'
@first-run
@published kept, status 0, ttl 5s, retained 15s
> t:x: stored for 5s, took 1s
miss 0, stored
$ --jitter=50 --quiet
look up: none
@silent-run
@published kept, status 0, a shorter ttl
miss 0, stored
END
}

# ---- a store that fails after the command has started ----

@test "a result that cannot be stored costs the entry, not the output, and only the first reason is reported" {
  steps get publish=fails <<'END'
$
@first-run
publish kept, status 0, ttl 1m: fails
abandon
@drain forever
@not-stored: publish failed
$ command=refused
@first-run
publish unstored, status 0: fails
abandon
@drain forever
@not-stored: cannot read the command's output: Input/output error
$ command=3 --cache-failures=10s
@first-run
publish failed, status 3: fails
abandon
@drain forever
> t:x: not stored: publish failed
> t:x: the command exited with status 3
miss 3, store error: publish failed
END
}

@test "an entry that was deleted during the run, or whose lease was lost, is not stored, and the reason is reported" {
  steps get <<'END'
$ publish=forgotten
@first-run
publish kept, status 0, ttl 1m: forgotten
@drain forever
> t:x: not stored: the entry was deleted during the run
miss 0
$ publish=lost
@first-run
publish kept, status 0, ttl 1m: lost
@drain forever
> t:x: not stored: the lease was lost to another holder
miss 0
END
}

@test "a signal while the result is stored, or the output is drained, ends the call after the output" {
  steps get <<'END'
$ publish=interrupted
@first-run
publish kept, status 0, ttl 1m: interrupted
@drain 2s
@interrupted; nothing was stored
$ drain=interrupted
@first-run
@published kept, status 0, ttl 1m
miss 143, signal 15, stored
END
}

@test "with Level::quiet nothing is reported" {
  steps get publish=lost command=3 --quiet <<'END'
look up: none
@silent-run
publish shared, status 3: lost
@drain forever
miss 3
END
}

# ---- artifacts ----

@test "artifacts are packed only after a success; if they are missing, the result is not shared" {
  steps get <<'END'
$ --artifact=there
include artifacts
@first-run
renew
@stored, artifacts
$ --artifact=missing
include artifacts
@first-run
renew
@published unstored, status 0
@not-stored: the command did not create missing
$ --artifact=missing command=3
include artifacts
@first-run
@published shared, status 3
@failed
END
}

@test "a signal while artifacts are packed ends the call after the output" {
  steps get --artifact=there command=0+signal <<'END'
include artifacts
@first-run
renew
give up
@drain 2s
@interrupted; nothing was stored
END
}

@test "an entry restores the artifacts, and so does the answer that a waiter gets" {
  steps get --artifact=made <<'END'
$ 'look up=made'
include artifacts
look up: made
@hit made
$ lock=held watch=fresh wait=made
include artifacts
@first-wait: made
@answer made
END
}

@test "an entry with other artifacts, or without any, is a miss" {
  local entry
  for entry in made fresh; do
    steps get --artifact=there "look up=$entry" <<END
include artifacts
look up: $entry
> t:x: the entry has no artifact there; treated as a miss
@run
renew
@stored, artifacts
END
  done
}

@test "an entry whose artifacts are too large, lost or damaged is a miss, and is not read again" {
  steps get --artifact=made lock=held watch=fresh wait=failed <<'END'
$ 'look up=made' --max-entry=6
include artifacts
look up: made
> t:x: the entry is larger than --max-entry (6 B); treated as a miss
@wait: failed
@failed-answer
$ 'look up=made+no-archive'
include artifacts
look up: made+no-archive
> t:x: the artifacts of the entry are missing or damaged; treated as a miss
@wait: failed
@failed-answer
$ 'look up=made+bad-archive'
include artifacts
look up: made+bad-archive
> t:x: the stored artifacts are damaged; treated as a miss
look up: made+bad-archive
@wait: failed
@failed-answer
END
}

@test "an older entry that is served in place of a failure restores its artifacts" {
  steps get --artifact=made 'look up=stale+made' --stale-if-error=1m command=3 <<'END'
include artifacts
@stale+made
@run, stdout deferred
publish shared, status 3: done
drain for forever
replay stale+made
> t:x: the command exited with status 3; served the stored entry (10s old)
stale 0, instead of a failure
END
}

@test "the older entry is not served if its artifacts cannot be restored, or a signal comes during that" {
  steps get --artifact=made --stale-if-error=1m <<'END'
$ 'look up=stale+made+bad-archive' command=3
include artifacts
@stale+made+bad-archive
@run, stdout deferred
@published shared, status 3
> t:x: the stored artifacts are damaged
@failed
$ 'look up=stale+made' command=3+signal
include artifacts
@stale+made
@run, stdout deferred
@published shared, status 3
miss 143, signal 15
END
}

# ---- promises (--external) ----

@test "a promise is completed, with a success or a failure" {
  steps get --external <<'END'
$ promise=fresh
@await-promise: fresh
abandon
> t:x: the result was set
replay fresh
miss 0
$ promise=failed
@await-promise: failed
abandon
> t:x: the promise failed with status 3
replay failed
miss 3
END
}

@test "a promise that expires or disappears is a failure for all callers; a signal during that ends the call" {
  steps get --external <<'END'
$ promise=timed-out
@await-promise: timed-out
publish shared, status 124: done
> t:x: no result was set within 1m
timeout 124
$ promise=gone
@await-promise: gone
publish shared, status 124: done
> t:x: no result was set within 1m
timeout 124
$ promise=timed-out publish=interrupted
@await-promise: timed-out
publish shared, status 124: interrupted
@interrupted; the promise was released
END
}

@test "a command that fails ends the promise, and a signal while that is published ends the call" {
  steps get --external command=3 <<'END'
$ publish=done
@promise
publish shared, status 3: done
@failed
$ publish=interrupted
@promise
publish shared, status 3: interrupted
> t:x: the command exited with status 3; not stored
@interrupted; the promise was released
END
}

@test "a signal while the holder runs the command, waits, or uses the store releases the promise" {
  steps get --external <<'END'
$ command=interrupted
@promise
give up
@interrupted; nothing was stored
$ promise=interrupted
@await-promise: interrupted
give up
@interrupted; the promise was released
$ promise=interrupt
@await-promise: interrupt
give up
@interrupted; the promise was released
END
}

@test "a store that fails while the holder waits loses the promise, and the command is not run again" {
  steps get --external promise=error <<'END'
@await-promise: error
abandon
> t:x: lost the promise: promise failed
error 125, store error: promise failed
END
}

@test "a waiter gets the answer of a promise" {
  steps get --external lock=held watch=external wait=fresh <<'END'
look up: none
acquire for others: held
watch: external
> t:x: waiting for host:7, promised 12s ago
wait: fresh
@answer fresh
END
}

# ---- lock ----

@test "lock runs the command, stores nothing, and reports a failure" {
  steps lock <<'END'
$
@run-locked
abandon
ran 0
$ command=3
@run-locked
abandon
> t:x: the command exited with status 3
ran 3
END
}

@test "lock that is interrupted releases the lock; a lost lease stops the command if requested" {
  steps lock <<'END'
$ command=interrupted
@run-locked
give up
@interrupted
$ command=stopped --kill
@run-locked, stopped with the lease
abandon
> t:x: the command was stopped: its lease could not be renewed
ran 143
END
}

@test "lock waits for its turn, and tries again while no run is visible" {
  steps lock lock=held,free <<'END'
$ watch=fresh wait=fresh
@wait: fresh
@run-locked
abandon
ran 0
$ watch=none
@held: none
@run-locked
abandon
ran 0
END
}

@test "lock that is interrupted while it waits, or pauses before another attempt, ends by the signal" {
  steps lock lock=held <<'END'
$ watch=fresh wait=interrupted
@wait: interrupted
interrupted 143, signal 15
$ watch=signal
@held: signal
interrupted 143, signal 15
END
}

@test "lock waits no longer than --wait, and then runs the command without the lock with --on-timeout run" {
  steps lock lock=held watch=fresh <<'END'
$ wait=timed-out --wait=5s
@wait: timed-out
@time-out
$ --wait=0
@held: fresh
> t:x: timed out after waiting 0ms for host:7
timeout 124
$ wait=timed-out --wait=5s --on-timeout=run
@wait: timed-out
> t:x: timed out after waiting 5s for host:7; running without the lock
start plain
bypass 0
END
}

# bats test_tags=slow
@test "lock ends at a deadline that passes between two attempts" {
  slow_wait() {
    steps lock lock=held watch=fresh wait=slow --wait=1s <<'END'
@wait: slow
> t:x: timed out after waiting 1s for host:7
timeout 124
END
  }
  # again if it has passed before the wait
  slow_wait || slow_wait
}

@test "lock refuses to wait for the run that it is in" {
  steps lock lock=held watch=own --inside <<'END'
@held: own
error: deadlock: this command runs inside the run of t:x, which it would wait for
END
}

# ---- once ----

@test "once runs the command and stores a mark for the rest of the ttl, after a failure too" {
  steps once <<'END'
$
@run-once
@marked
$ --ttl=forever
@run-once
publish marked, status 0, ttl forever: done
ran 0, stored
$ command=3
@run-once
publish marked, status 3, ttl 59s: done
> t:x: the command exited with status 3
ran 3, stored
END
}

@test "once runs the command if the mark is expired or dated in the future, or of a failure with --on-failure retry" {
  steps once <<'END'
$ mark=expired
mark: expired
acquire: free
mark: expired
@start plain
@marked
$ mark=failed --retry
mark: failed
acquire: free
mark: failed
@start plain
@marked
$ mark=later
mark: later
> t:x: the mark is dated in the future; ignored
acquire: free
mark: later
@start plain
@marked
END
}

@test "once skips the command after a recent run" {
  local mark option begun status
  while IFS='|' read -r mark option begun status; do
    steps once "mark=$mark" ${option:+"$option"} <<END
mark: $mark
> t:x: skipped; host:7 started a run 12s ago, status $begun
skipped $status
END
  done <<'END'
fresh|--skip-status=7|0|7
fresh|--retry|0|0
failed||3|0
END
}

@test "once skips the command if the mark is found under the lock, or a run is in progress" {
  steps once <<'END'
$ mark=none,fresh
mark: none
acquire: free
mark: fresh
> t:x: skipped; host:7 started a run 12s ago, status 0
abandon
skipped 0
$ lock=held watch=fresh --skip-status=7
mark: none
@held: fresh
> t:x: skipped; host:7, running for 12s
skipped 7
END
}

@test "once skips the command while the lock is held for long, even if no run is visible" {
  gives_up_after 17 'skipped 0' once lock=held watch=none
}

@test "once runs the command when such a lock is released, and ends by a signal that comes earlier" {
  steps once <<'END'
$ lock=held,held,free watch=none
mark: none
@held: none
mark: none
@held: none
@run-once
@marked
$ lock=held watch=signal
mark: none
@held: signal
interrupted 143, signal 15
END
}

@test "once refuses to run inside a run of the same id" {
  steps once lock=held watch=own --inside <<'END'
mark: none
@held: own
error: this command runs inside the run of t:x, so it would always be skipped
END
}

@test "once without keep stores no mark, and still skips while the lock is held" {
  steps once --no-keep <<'END'
$
acquire: free
begin: ok
start plain
abandon
ran 0
$ lock=held watch=fresh
@held: fresh
> t:x: skipped; host:7, running for 12s
skipped 0
END
}

@test "once stores no mark of a run that did not start, was interrupted or stopped, or took longer than the ttl" {
  steps once <<'END'
$ command=not-started
@run-once
abandon
ran 127
$ command=interrupted
@run-once
give up
@interrupted
$ command=stopped --kill
@run-once, stopped with the lease
abandon
> t:x: the command was stopped: its lease could not be renewed
ran 143
$ --ttl=1s
@run-once
abandon
ran 0
END
}

@test "once reports that the mark was not stored: the store refuses it, it was deleted, the lease was lost, or a signal came" {
  steps once <<'END'
$ publish=fails
@run-once
publish marked, status 0, ttl 59s: fails
abandon
> t:x: the mark was not stored: publish failed
ran 0, store error: publish failed
$ publish=forgotten
@run-once
publish marked, status 0, ttl 59s: forgotten
> t:x: the mark was not stored: it was deleted during the run
ran 0
$ publish=lost
@run-once
publish marked, status 0, ttl 59s: lost
> t:x: the mark was not stored: the lease was lost to another holder
ran 0
$ publish=interrupted
@run-once
publish marked, status 0, ttl 59s: interrupted
@interrupted; the mark was not stored
END
}

# ---- without the store ----

@test "a bypassed run reports a failure, a signal or its limit, but neither a success nor anything with Level::quiet" {
  steps bypass <<'END'
$ command=0
start plain
bypass 0
$ command=3
start plain
> t:x: the command exited with status 3
bypass 3
$ command=3 --quiet
start plain
bypass 3
$ command=interrupted
start plain
@interrupted
$ command=timed-out --max-runtime=5s
start plain
> t:x: the command was stopped after --max-runtime 5s
bypass 124
END
}
