#!/usr/bin/env bats
# An unusable local store: the command runs anyway, with one warning, and callers on the machine share the run.
# store: local

load ../helpers/common

setup() {
  isolate
  use_store
  # callers without a home directory share the machine's own lock, so the id must be unique to this test
  id=$BATS_TEST_NUMBER-$$-$RANDOM
}

teardown() {
  end_all
  [[ ! -v uid ]] || rm -rf "/tmp/memolock-$uid" "/tmp/memolock-control-$uid"
}

get() { memolock get --tag t --id "$id" --ttl 1h "$@"; }

# is_unfit PART: asserts that the command runs with one warning that contains PART, and that --on-store-error fail ends
# with 125.
is_unfit() {
  run --separate-stderr -7 get -- counted sh -c 'echo output; exit 7'
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" "$1"
  ran_times 1
  refused "$1" "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h --on-store-error fail -- counted true
  ran_times 1
}

@test "a store of another user is not used" {
  ((EUID == 0)) || skip 'needs root'
  mkdir -m 700 store
  chown 65534 store
  is_unfit "$PWD/store"
}

@test "a store that its group can write to is not used" {
  mkdir store
  chmod 770 store
  is_unfit "$PWD/store"
}

@test "a store that all users can write to is not used" {
  mkdir store
  chmod 1777 store
  is_unfit "$PWD/store"
}

@test "a store path that is a file is reported" {
  : >store
  is_unfit "$PWD/store"
}

@test "a store path below a file is reported" {
  : >file
  export MEMOLOCK_CACHE_DIR=$PWD/file/store
  is_unfit "$PWD/file"
}

@test "a store that cannot be created is reported" {
  export MEMOLOCK_CACHE_DIR=/proc/memolock/store
  is_unfit /proc/memolock
}

# without CALL ERROR OPTION…: `get OPTION…`, with the first system call CALL for the run's FIFO failing with ERROR.
without() {
  strace -qq -o trace -P "$id.wake" -e "trace=$1" -e "inject=$1:error=$2:when=1" \
    "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h "${@:3}"
}

@test "a store in which no FIFO can be created is not used, and nothing is left in it" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  for failing in 'mknodat EDQUOT' 'mknodat ENOSPC' 'openat EMFILE'; do
    # shellcheck disable=SC2086
    run --separate-stderr -7 without $failing -- sh -c 'echo output; exit 7'
    grep -q INJECTED trace
    equal output "$output"
    one_own_line "$stderr"
    contains "$stderr" "$PWD/store/t/$id.wake"
    store_is_clean
    # shellcheck disable=SC2086
    refused "$id.wake" without $failing --on-store-error fail -- counted true
    ran_times 0
    store_is_clean
    get -- true
    memolock del --tag t --id "$id"
  done
}

@test "without a home directory there is no store" {
  unset HOME XDG_CACHE_HOME MEMOLOCK_CACHE_DIR
  is_unfit HOME
}

@test "a store that its user cannot write to is reported" {
  read_only_store
  run --separate-stderr -7 "${as_user[@]}" ./memolock.copy get --tag t --id "$id" --ttl 1h -- sh -c 'echo output; exit 7'
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" "$PWD/store"
  refused "$PWD/store" "${as_user[@]}" ./memolock.copy get --tag t --id "$id" --ttl 1h --on-store-error fail -- true
}

@test "callers of an unusable store share a run through a lock of this machine, and store nothing" {
  : >store
  for i in 1 2 3; do
    spawn "$MEMOLOCK_BIN" get -v --tag t --id "$id" --ttl 1h -- counted held a echo shared >$i.out 2>$i.err
    if ((i == 1)); then await test -e a.started; else await is_waiting $!; fi
  done
  release a
  finish_all
  for i in 1 2 3; do
    equal shared "$(<$i.out)"
    equal 1 "$(grep -c 'without the store' $i.err)"
  done
  ran_times 1
  run -0 --separate-stderr get -- counted echo again
  equal again "$output"
  ran_times 2
}

@test "callers of two unusable stores do not share a run" {
  : >store
  : >other
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a echo one >one.out
  await test -e a.started
  MEMOLOCK_CACHE_DIR=$PWD/other get -q --wait 1m -- echo two >two.out
  MEMOLOCK_STORE=redis+unix://$PWD/nowhere get -q --wait 1m -- echo three >three.out
  release a
  finish_all
  equal 'one two three ' "$(cat one.out two.out three.out | tr '\n' ' ')"
}

@test "a look-up in an unusable store ends with 1 and one warning" {
  : >store
  run --separate-stderr -1 memolock get --tag t --id "$id"
  equal '' "$output"
  one_own_line "$stderr"
}

@test "ls and del of an unusable store end with 125" {
  : >store
  refused "$PWD/store" memolock ls
  refused "$PWD/store" memolock del --tag t --id x
}

@test "-q suppresses the warning about an unusable store" {
  : >store
  run --separate-stderr -0 get -q -- echo output
  equal output "$output"
  equal '' "$stderr"
}

@test "the command finds a control file even if the store is unusable" {
  : >store
  run -0 --separate-stderr get -- sh -c 'test -e "$MEMOLOCK_CONTROL" && echo there'
  equal there "$output"
}

@test "with an unusable store the command gets the store that its caller named, or none" {
  : >store
  show='echo "$MEMOLOCK_STORE|$MEMOLOCK_CONTROL"'
  run -0 --separate-stderr get -- sh -c "$show"
  equal '|/dev/null' "$output"
  MEMOLOCK_STORE=file://$PWD/st%6fre run -0 --separate-stderr get -- sh -c "$show"
  equal "file://$PWD/st%6fre|/dev/null" "$output"
}

@test "a store and its parent directories are created for their user only" {
  umask 000
  export MEMOLOCK_CACHE_DIR=$PWD/a/b/store
  get -- echo 1
  equal $'700\n700\n700' "$(stat -c %a a a/b a/b/store)"
  equal 700 "$(stat -c %a a/b/store/t)"
  equal 600 "$(stat -c %a a/b/store/t/*.entry)"
}

@test "only their user can access lock, run and control files" {
  umask 000
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a true
  await test -e a.started
  equal '' "$(find store -type f ! -perm 600)"
  release a
  finish_all
}

@test "without MEMOLOCK_CACHE_DIR the store is in XDG_CACHE_HOME or HOME" {
  unset MEMOLOCK_CACHE_DIR
  get -- echo 1
  [[ -d $XDG_CACHE_HOME/memolock/t ]]
  unset XDG_CACHE_HOME
  get -- echo 1
  [[ -d $HOME/.cache/memolock/t ]]
}

@test "--store file:// names a directory" {
  get --store "file://$PWD/my%20store" -- echo 1
  [[ -d $PWD/my\ store/t ]]
  equal 1 "$(memolock get --store "file://$PWD/my%20store" --tag t --id "$id")"
}

@test "the path of the store can contain a symbolic link" {
  mkdir -m 700 real
  ln -s real store
  get -- echo 1
  equal 1 "$(get -- echo 2)"
}

@test "a store that is deleted before a run is created again" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  run --separate-stderr -0 strace -qq -o trace -P t -e trace=mkdirat -e inject=mkdirat:error=ENOENT:when=1 \
    "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- echo output
  grep -q INJECTED trace
  equal output "$output"
  equal '' "$stderr"
  [[ -e store/t/$id.entry ]]
}

@test "if the store is deleted during a run, the result is passed on but not stored" {
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a sh -c 'seq 1000; exit 5' >out 2>err
  await test -e a.started
  rm -rf store
  release a
  finish "${spawned[0]}"
  equal 5 "$status"
  seq 1000 | cmp - out
  (($(wc -l <err) <= 1))
}

@test "if the store is deleted during a successful run, there is one warning" {
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a echo output >out 2>err
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- echo other >waiter.out
  await is_waiting $!
  rm -rf store
  release a
  finish_all
  equal output "$(<out)"
  one_own_line "$(<err)"
  [[ $(<waiter.out) == output || $(<waiter.out) == other ]]
  equal again "$(get -- echo again)"
}
