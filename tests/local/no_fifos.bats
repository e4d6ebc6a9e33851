#!/usr/bin/env bats
# A local store on a file system without FIFOs, hard links and unnamed temporary files, such as vfat or some FUSE
# file systems: the FIFOs of runs are in /tmp, and everything else works as elsewhere.
# store: local

load ../helpers/common

elsewhere=/tmp/memolock-fifo-$EUID

setup() {
  isolate
  use_store
  # a script, since MEMOLOCK_BIN is one word
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$HELPERS/no_fifos" "$MEMOLOCK_BIN" >without_fifos
  chmod +x without_fifos
  "$HELPERS/no_fifos" true || skip 'seccomp is not to be had here'
  export MEMOLOCK_BIN=$PWD/without_fifos
}

teardown() {
  end_all
  rm -f "$elsewhere/$$.other"
  [[ ! -v uid ]] || rm -rf /tmp/memolock-{control,fifo}-"$uid" "/tmp/memolock-$uid"
}

needs_root() { ((EUID == 0)) || skip 'needs root'; }

# place NAME: the path of the FIFO that is named in this file of the store.
place() { echo "$elsewhere/$(<"$MEMOLOCK_CACHE_DIR/t/$1")"; }

@test "of 20 callers one runs the command, and the others sleep until it ends" {
  for round in 1 2 3; do
    spawned=()
    : >"$RUNS"
    for i in {1..20}; do spawn_get --id "$round" -- counted held "$round" echo "$round" >"$i.out"; done
    await test -e "$round.started"
    asleep() {
      local pid n=0
      for pid in "${spawned[@]}"; do ! is_waiting "$pid" || n=$((n + 1)); done
      ((n == 19))
    }
    await asleep
    [[ -p $(place "$round.wake") ]]
    place=$(place "$round.wake")
    release "$round"
    finish_all
    ran_times 1
    for i in {1..20}; do equal "$round" "$(<"$i.out")"; done
    [[ ! -e $place ]]
  done
  store_is_clean
}

@test "a failure, and output that is not stored, reach the waiters" {
  for command in 'echo shared' 'echo shared; exit 3'; do
    rm -f a.*
    : >"$RUNS"
    spawned=()
    spawn_get --ttl 0 -- counted held a sh -c "$command" >1.out
    await test -e a.started
    spawn_get --ttl 0 -- counted echo own >2.out
    await is_waiting $!
    release a
    finish "${spawned[0]}"
    first=$status
    finish "${spawned[1]}"
    equal "$first" "$status"
    equal shared "$(<2.out)"
    ran_times 1
  done
  store_is_clean
}

@test "when the holder is killed, a waiter takes over immediately, and no FIFO is left" {
  for round in 1 2 3; do
    spawned=()
    spawn_get --id "$round" -- held "$round" echo first
    await test -e "$round.started"
    place=$(place "$round.wake")
    spawn_get --id "$round" -- counted echo second >out
    await is_waiting $!
    end "${spawned[0]}"
    finish "${spawned[1]}"
    equal '0 second' "$status $(<out)"
    [[ ! -e $place ]]
  done
  ran_times 3
  store_is_clean
}

@test "a promise can be completed, failed and renewed" {
  for round in 1 2 3; do
    for verb in set fail; do
      id=$round-$verb
      spawned=()
      spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h --lease 1m --external -- sh -c \
        'echo "$MEMOLOCK_RUN_TOKEN" >"$0"; exec held "$0" true' "$id" >"$id.holder" 2>&1
      await test -s "$id"
      token=$(<"$id")
      places=("$(place "$id.wake")" "$(place "$id.promise")")
      [[ -p ${places[0]} && -p ${places[1]} ]]
      spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- counted true >"$id.waiter" 2>&1
      await is_waiting $!
      memolock renew --tag t --id "$id" --token "$token" --lease 2m
      release "$id"
      if [[ $verb == set ]]; then
        echo answer | memolock set --tag t --id "$id" --token "$token" --ttl 1h
      else
        memolock fail --tag t --id "$id" --token "$token" --status 7 <<<answer
      fi
      run -1 memolock set --tag t --id "$id" --token "$token" --ttl 1h <<<late
      for pid in "${spawned[@]}"; do
        finish "$pid"
        if [[ $verb == set ]]; then equal 0 "$status"; else equal 7 "$status"; fi
      done
      contains "$(<"$id.holder")" answer
      contains "$(<"$id.waiter")" answer
      [[ ! -e ${places[0]} && ! -e ${places[1]} ]]
    done
  done
  ran_times 0
  store_is_clean
}

@test "a renewed promise remains valid, and one without a result expires" {
  spawn_get --lease 7s --external -- held a sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >token' >out
  await test -e a.started
  release a
  await test -s token
  memolock renew --tag t --id x --token "$(<token)" --lease 1h
  # past the first lease: a lease that begins and ends after renew
  run -124 memolock get --tag t --id other --ttl 1h --external --lease 7200ms -- true
  memolock set --tag t --id x --token "$(<token)" --ttl 1h <<<kept
  finish_all
  equal kept "$(<out)"
  store_is_clean
}

@test "after del during a run nothing is stored, and ls shows the run" {
  spawn_get -- held a true
  await test -e a.started
  is_running x
  memolock del --tag t --id x
  release a
  finish_all
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "callers that do not see that part of /tmp still wait" {
  unshare -m true 2>/dev/null || skip 'cannot create a namespace here'
  for kind in own foreign; do
    spawned=()
    mkdir -m 700 "$kind"
    spawn_get --id "$kind" -- counted held "$kind" echo "$kind"
    await test -e "$kind.started"
    [[ $kind != foreign ]] || chown 65534 foreign
    spawn unshare -m sh -c 'mount --bind "$1" "$2"; shift 2; exec "$@"' - "$kind" "$elsewhere" \
      "$MEMOLOCK_BIN" get --tag t --id "$kind" --ttl forever -- counted echo other >out
    has_the_folder() { mountpoint_of $! | grep -q "$elsewhere" && grep -q lock <<<"$(find "/proc/$!/cwd/store/t")"; }
    mountpoint_of() { cut -d ' ' -f 5 "/proc/$1/mountinfo"; }
    await has_the_folder
    release "$kind"
    finish_all
    equal "$kind" "$(<out)"
  done
  ran_times 2
}

@test "an object planted in place of the directory of FIFOs is refused, and the command runs" {
  needs_root
  uid=$((300000 + RANDOM)) place=/tmp/memolock-fifo-$uid
  mkdir -m 700 theirs
  chown "$uid" theirs
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  cp "$(sed -n 's/^exec "[^"]*" "\([^"]*\)".*/\1/p' without_fifos)" memolock
  cp "$HELPERS/no_fifos" no_fifos
  for mode in 700 777; do
    mkdir -m $mode "$place"
    [[ $mode == 700 ]] || chown "$uid" "$place"
    run -0 --separate-stderr setpriv --reuid="$uid" --regid="$uid" --clear-groups env MEMOLOCK_CACHE_DIR="$PWD/theirs" \
      ./no_fifos ./memolock get --tag t --id x --ttl 1h -- echo output
    equal output "$output"
    one_own_line "$stderr"
    contains "$stderr" "$place"
    equal '' "$(ls -A "$place")"
    run -1 setpriv --reuid="$uid" --regid="$uid" --clear-groups env MEMOLOCK_CACHE_DIR="$PWD/theirs" ./no_fifos ./memolock doctor
    grep -qE "^FAIL +fifo .*the substitute failed: .*$place" <<<"$output" || fail "$output"
    rmdir "$place"
  done
}

@test "the content of a file in place of a FIFO is not used as a path" {
  get -- true
  for text in ../../etc/passwd "$(printf 'a%.0s' {1..32})/wake" '' $'\n' "$(printf '/%.0s' {1..32}).wake"; do
    printf %s "$text" >"$MEMOLOCK_CACHE_DIR/t/x.wake"
    printf %s "$text" >"$MEMOLOCK_CACHE_DIR/t/x.promise"
    run -0 memolock ls
    run -1 memolock set --tag t --id x --token "$(printf '0%.0s' {1..32})" --ttl 1h <<<text
    run -0 memolock get --tag t --id x --ttl forever --refresh -- echo output
    equal output "$output"
    store_is_clean
  done
}

@test "gc removes FIFOs whose holder has died, and no others" {
  dead=$elsewhere/$(od -An -N 16 -tx1 /dev/urandom | tr -d ' \n').wake
  spawn_get -- held a true
  await test -e a.started
  live=$(place x.wake)
  mkfifo "$dead" "$elsewhere/$$.other"
  memolock gc >/dev/null
  [[ -p $dead ]]
  touch -d '2 minutes ago' "$dead" "$live" "$elsewhere/$$.other"
  memolock gc >/dev/null
  [[ ! -e $dead && -p $live && -p $elsewhere/$$.other ]]
  release a
  finish_all
}

@test "doctor reports where the FIFOs are" {
  get -- true
  run -0 memolock doctor
  grep -q "^advice  fifo .*$elsewhere" <<<"$output" || fail "$output"
}
