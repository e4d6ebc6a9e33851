#!/usr/bin/env bats
# A full disk costs the entry and nothing else.
# store: local

load ../helpers/common

# small_store SIZE: makes a store on a file system of this size.
small_store() {
  small_disk "size=$1"
  export MEMOLOCK_CACHE_DIR=$PWD/small/store
}

# comes_through COMMAND…: asserts that COMMAND, a get of the file `large`, passes it on completely, with one warning.
comes_through() {
  "$@" >out 2>err
  same_bytes large out
  one_own_line "$(<err)"
  contains "$(<err)" 'not stored'
}

@test "output that does not fit on the disk is passed on completely, with one warning" {
  small_store 256k
  head -c 3000000 /dev/urandom >large
  comes_through get -- cat large
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "stderr that does not fit on the disk is passed on completely" {
  small_store 256k
  head -c 3000000 /dev/urandom >large
  get -- sh -c 'cat large >&2; echo out' >out 2>err
  equal out "$(<out)"
  warning=$(grep -ao 'memolock: .*' err)
  equal $((3000000 + ${#warning} + 1)) "$(wc -c <err)"
  store_is_clean
}

@test "two streams that do not fit together are passed on completely" {
  small_store 256k
  head -c 160000 /dev/zero | tr '\0' '#' >large
  get -- sh -c 'cat large; cat large >&2' >out 2>err
  same_bytes large out
  equal 160000 "$(tr -cd '#' <err | wc -c)"
  store_is_clean
}

@test "the command's status is passed on despite a full disk" {
  small_store 256k
  run -6 get -- sh -c 'head -c 1000000 /dev/zero | tr "\0" x; exit 6'
}

@test "a full disk does not affect the old entry" {
  small_store 256k
  get -- echo old
  head -c 3000000 /dev/urandom >large
  comes_through get --refresh -- cat large
  equal old "$(memolock get --tag t --id x)"
}

@test "waiters run the command themselves when the holder's output does not fit" {
  small_store 256k
  spawn_get -- counted held a sh -c 'head -c 1000000 /dev/zero; exec held b true' >1.out 2>1.err
  await test -e a.started
  spawn_get -- counted echo own >2.out
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 0 "$status"
  equal own "$(<2.out)"
  release b
  finish "${spawned[0]}"
  equal 0 "$status"
  equal 1000000 "$(wc -c <1.out)"
}

@test "on a disk without any free space the command runs with one warning" {
  small_store 64k
  mkdir -m 700 small/store
  head -c 100000 /dev/zero >small/filler 2>/dev/null || true
  run --separate-stderr -0 get -- echo output
  equal output "$output"
  one_own_line "$stderr"
}

@test "a limit on file sizes costs only the entry" {
  head -c 1000000 /dev/urandom >large
  (
    ulimit -f 100
    get -- cat large 2>err | cat >/dev/full 2>/dev/null || true
    memolock get --tag t --id y --ttl 1h -- cat large 2>err | cmp - large
  )
  one_own_line "$(<err)"
  run -1 memolock get --tag t --id y
  store_is_clean
}
