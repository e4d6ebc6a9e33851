#!/usr/bin/env bats
# The narrow windows of the local store's locking, held open with strace, which delays one caller's lock calls.

load helpers/common

setup() {
  isolate
  use_store
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
}

# slow_get COMMAND…: a caller that has looked up, found nothing, opened the lock file, and now takes a second for
# every further step towards the lock.
slow_get() {
  spawn strace -f -qq -o trace -e trace=openat,fcntl -e inject=fcntl:delay_enter=1000000 \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- "$@"
  slow=$!
  await grep -q '"x.lock"' trace
}

@test "who gets the lock looks up once more, since the last holder may have stored meanwhile" {
  slow_get counted echo slow >slow.out
  equal quick "$(get --wait 0 -- counted echo quick)"
  finish $slow
  equal 0 "$status"
  equal quick "$(<slow.out)"
  ran_times 1
}

@test "a lock on a file that its last owner has removed is no lock" {
  slow_get counted echo slow >slow.out
  get --wait 0 --ttl 0 -- counted true
  spawn_get -- counted held a echo held
  await test -e a.started
  # the slow one now gets a lock on the file of before; it must not run beside the holder
  await grep -q 'x\.run' trace
  ran_times 2
  release a
  finish $slow
  equal held "$(<slow.out)"
  finish_all
  ran_times 2
  store_is_clean
}
