#!/usr/bin/env bats
# The cost of a hit on the local store, in system calls.
# store: local

load ../helpers/common

# calls COMMAND…: the number of system calls of the command and its children.
calls() {
  strace -f -qq -o trace "$@" >/dev/null
  grep -cv -e '+++' -e '---' trace
}

setup() {
  isolate
  use_store
  strace -f -o trace true 2>/dev/null || skip 'strace cannot run here'
  # a sanitizer makes system calls of its own
  ! is_sanitized || skip 'built with a sanitizer'
}

@test "a hit of a small entry makes fewer than 60 system calls" {
  get -- echo small
  count=$(calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false)
  ((count < 60)) || fail "$count system calls"
}

@test "a hit starts no thread and no process" {
  get -- echo small
  calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false >/dev/null
  equal 0 "$(grep -cE '(clone|fork|clone3)\(' trace)"
}

@test "a hit takes no lock and creates no file" {
  get -- echo small
  calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false >/dev/null
  equal 0 "$(grep -cE 'F_OFD_SETLK|O_CREAT|flock\(' trace)"
}

# bats test_tags=slow
@test "the cost of a hit is the same among 2000 entries" {
  get -- echo small
  alone=$(calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false)
  for i in {1..2000}; do cp "$MEMOLOCK_CACHE_DIR/t/x.entry" "$MEMOLOCK_CACHE_DIR/t/y$i.entry"; done
  equal "$alone" "$(calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false)"
}

@test "a waiter has a single thread, and opens the FIFO of the run once" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get -- false
  await is_waiting $!
  equal 1 "$(find /proc/$!/task -mindepth 1 -maxdepth 1 | wc -l)"
  equal 1 "$(fifos $! | wc -l)"
  release a
  finish_all
}

# bats test_tags=slow
@test "a waiter makes no system calls while it waits" {
  spawn_get -- held a true
  await test -e a.started
  spawn strace -f -qq -o trace.waiter "$MEMOLOCK_BIN" get -v --tag t --id x --ttl 1h -- false 2>err
  await began_to_wait 1 err
  await is_waiting "$(pgrep -P "${spawned[1]}")"
  await unchanged wc -l trace.waiter
  release a
  finish_all
}
