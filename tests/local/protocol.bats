#!/usr/bin/env bats
# memolock and another client, written from memolock-protocol(7) alone, share a local store.
# store: local

load ../helpers/common

client=(/usr/bin/python3 "$BATS_TEST_DIRNAME/../helpers/other_client.py")

other() { "${client[@]}" "$MEMOLOCK_CACHE_DIR" t "$@"; }

# other_holds: the other client runs a command for x until a file go exists.
other_holds() {
  spawn "${client[@]}" "$MEMOLOCK_CACHE_DIR" t x hold go <<<theirs
  await is_running x
}

@test "an entry that another client has stored is replayed" {
  for id in x 'odd /%.:' .hidden "$(printf 'long%.0s' {1..100})"; do
    printf 'made\0elsewhere' | other "$id" put
    memolock get --tag t --id "$id" --ttl 1h -- counted echo never >out
    printf 'made\0elsewhere' >want
    same_bytes want out
  done
  ran_times 0
  contains "$(memolock ls --tag t)" '	59m'
  store_is_clean
}

@test "an entry that memolock has stored is read by another client" {
  memolock get --tag t --id x --ttl 30s -- sh -c 'printf "a\\0b"; printf err >&2' >want 2>/dev/null
  other x show >shown
  {
    grep -axE "status=0 ttl=30000000000 token=32 pid=[0-9]+" shown
    printf 't|x|sh|-c|printf "a\\\\0b"; printf err >&2\nerr\na\0b'
  } >expected
  same_bytes expected shown
}

@test "memolock waits for the run of another client, and replays its result" {
  other_holds
  waiters=()
  for waiter in {1..10}; do
    spawn_get -- counted echo mine >"$waiter.out"
    waiters+=($!)
  done
  for waiter in "${waiters[@]}"; do await is_waiting "$waiter"; done
  contains "$(memolock ls --tag t)" '	elsewhere:'
  : >go
  finish_all
  for waiter in {1..10}; do equal theirs "$(<"$waiter.out")"; done
  ran_times 0
  store_is_clean
}

@test "memolock takes over from another client that is killed" {
  other_holds
  holder=${spawned[-1]}
  spawn_get -- counted echo mine >out
  waiter=$!
  await is_waiting $waiter
  end "$holder"
  finish $waiter
  equal mine "$(<out)"
  ran_times 1
  store_is_clean
}

@test "another client waits for a run of memolock, and reads its result" {
  spawn_get -- held a echo mine >/dev/null
  await test -e a.started
  spawn "${client[@]}" "$MEMOLOCK_CACHE_DIR" t x wait >out 2>err
  await grep -q waiting err
  release a
  finish_all
  equal mine "$(<out)"
}
