#!/usr/bin/env bats
# Race windows in the locking of the local store, kept open with strace, which stops or delays a caller.
# store: local
# bats file_tags=slow

load ../helpers/common

setup() {
  isolate
  use_store
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
}

# stopped_at PATH N COMMAND…: starts a process that stops when it has called openat for this path for the Nth time.
stopped_at() {
  spawn strace -f -qq -o trace -P "$1" -P t/x.run -e trace=openat -e inject=openat:signal=STOP:when="$2" "${@:3}"
  slow=$!
  await grep -q 'stopped by SIGSTOP' trace
  also_end "$(pgrep -P $slow)"
}

# continues: lets it continue.
continues() { kill -CONT "$(pgrep -P $slow)"; }

# slow_get COMMAND…: starts a caller that has found no entry, has created the lock file, and stops before it takes the
# lock.
slow_get() { stopped_at x.lock 2 "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- "$@"; }

@test "a caller that acquires the lock looks up again, since the last holder may have stored a result" {
  slow_get counted echo slow >slow.out
  equal quick "$(get --wait 0 -- counted echo quick)"
  continues
  finish $slow
  equal 0 "$status"
  equal quick "$(<slow.out)"
  ran_times 1
}

@test "a lock on a file that its last owner has removed is not used" {
  slow_get counted echo slow >slow.out
  get --wait 0 --ttl 0 -- counted true
  spawn_get -- counted held a echo held
  holder=$!
  await test -e a.started
  # the slow caller now gets a lock on the removed file; it must not run at the same time as the holder
  continues
  await grep -q 'x\.run' trace
  ran_times 2
  release a
  finish $slow
  equal held "$(<slow.out)"
  finish $holder
  equal 0 "$status"
  ran_times 2
  store_is_clean
}

@test "a del during one run does not affect the next run" {
  spawn_get -- held a echo first
  first=$!
  await test -e a.started
  # has found the run in progress, and opens its file a second later
  spawn strace -qq -o trace -P t/x.run -e trace=openat -e inject=openat:delay_enter=1000000 \
    "$MEMOLOCK_BIN" del --tag t --id x >deleted
  deleting=$!
  await grep -q x.run trace
  release a
  finish $first
  spawn_get --refresh -- held b echo second
  second=$!
  await test -e b.started
  finish $deleting
  equal 1 "$(<deleted)"
  release b
  finish $second
  equal second "$(memolock get --tag t --id x)"
}

@test "the lock is not held while an entry that was found under it is written to a stalled reader" {
  get --id other -- true # creates the store
  mkfifo pipe
  exec 4<>pipe
  # finds no entry, and continues when there is one
  stopped_at t/x.entry 1 "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted false >pipe
  get --wait 0 -- seq 200000 >/dev/null
  continues
  is_writing() { grep -q pipe "/proc/$(pgrep -P $slow)/wchan"; }
  await is_writing
  equal next "$(get --refresh --wait 0 -- echo next)"
  ran_times 0
}

@test "a holder killed before it knows that its command has started takes the command's descendants along" {
  spawn strace -qq -o trace -e trace=?vfork -e inject=?vfork:delay_exit=3000000 \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- sh -c 'echo $$ >command.pid
      sleep 60 & echo $! >child.pid; (sleep 60 & echo $! >orphan.pid); exec sleep 60'
  await test -s orphan.pid
  also_end "$(<child.pid)" "$(<orphan.pid)"
  kill -KILL "$(pgrep -o -P $!)"
  for pid in command child orphan; do await is_gone "$(<$pid.pid)"; done
}
