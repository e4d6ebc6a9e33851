#!/usr/bin/env bats
# Entry files that are damaged, foreign or expired are misses.
# store: local

load ../helpers/common

setup() {
  isolate
  use_store
  get -- sh -c 'echo some output; echo and errors >&2' >want.out 2>want.err
  entry=$MEMOLOCK_CACHE_DIR/t/x.entry
  [[ -f $entry ]]
  cp "$entry" good
}

# is_absent: asserts that the entry is not replayed, and without -v not reported.
is_absent() {
  status=0
  timeout 60 "$MEMOLOCK_BIN" get --tag t --id x >out 2>err || status=$?
  equal 1 "$status"
  is_empty out
  is_empty err
}

# is_made_anew: asserts that a run stores an intact entry in its place.
is_made_anew() {
  equal anew "$(get -- echo anew)"
  equal anew "$(memolock get --tag t --id x)"
}

# bats test_tags=slow
@test "an entry truncated at any length is treated as a miss" {
  size=$(wc -c <good)
  for ((i = 0; i < size; i += 3)); do
    head -c $i good >"$entry"
    is_absent
  done
  is_made_anew
}

# bats test_tags=slow
@test "an entry with any byte changed is either a miss or replayed correctly" {
  size=$(wc -c <good)
  for ((i = 0; i < size; i++)); do
    cp good "$entry"
    change_byte "$entry" $i $((1 << (i % 8)))
    status=0
    memolock get --tag t --id x >out 2>err || status=$?
    if ((status == 0)); then
      same_bytes want.out out
      same_bytes want.err err
    else
      equal 1 "$status"
      is_empty out
      is_empty err
    fi
  done
}

@test "an entry with bytes appended is treated as a miss" {
  echo more >>"$entry"
  is_absent
  is_made_anew
}

@test "random bytes are treated as a miss" {
  for size in 1 100 144 5000 100000; do
    head -c $size /dev/urandom >"$entry"
    is_absent
  done
  is_made_anew
}

@test "zeros are treated as a miss" {
  head -c 4096 /dev/zero >"$entry"
  is_absent
}

@test "a large entry that is damaged in the middle is treated as a miss" {
  get --refresh -- head -c 3000000 /dev/zero >/dev/null
  printf x | dd of="$entry" bs=1 seek=2000000 conv=notrunc status=none
  is_absent
  is_made_anew
}

@test "the file of another entry under this name is treated as a miss" {
  memolock get --tag t --id y --ttl 1h -- echo other
  cp "$MEMOLOCK_CACHE_DIR/t/y.entry" "$entry"
  is_absent
  is_made_anew
}

@test "a symbolic link is treated as a miss, and its target is not changed" {
  mv "$entry" elsewhere
  ln -s "$PWD/elsewhere" "$entry"
  is_absent
  is_made_anew
  same_bytes good elsewhere
}

@test "a FIFO is treated as a miss and blocks no caller" {
  rm "$entry"
  mkfifo "$entry"
  is_absent
  is_made_anew
}

@test "a device or a socket is treated as a miss" {
  rm "$entry"
  mknod "$entry" c 1 5 2>/dev/null || skip 'cannot create a device here'
  is_absent
  is_made_anew
}

@test "a directory in place of an entry costs the entry, not the output" {
  rm "$entry"
  mkdir "$entry"
  is_absent
  run --separate-stderr -0 get -- echo output
  equal output "$output"
  one_own_line "$stderr"
}

@test "an entry of another user is treated as a miss" {
  ((EUID == 0)) || skip 'needs root'
  chown 65534 "$entry"
  is_absent
  is_made_anew
}

@test "an entry dated in the future is treated as a miss" {
  "$HELPERS/redate" "$entry" 3600
  run --separate-stderr -1 memolock get -v --tag t --id x
  contains "$stderr" 'the entry is not fresh: dated in the future'
  is_absent
  is_made_anew
}

@test "a stored failure dated in the future is ignored" {
  run -3 memolock get --tag t --id f --ttl 1h --cache-failures 1h -- sh -c 'exit 3'
  "$HELPERS/redate" "$MEMOLOCK_CACHE_DIR/t/f.failed" 3600
  run --separate-stderr -0 memolock get -v --tag t --id f --ttl 1h -- echo output
  equal output "$output"
  equal 1 "$(grep -c 'the stored failure is dated in the future; ignored' <<<"$stderr")"
}

@test "the age of an entry is calculated from its own times" {
  "$HELPERS/redate" "$entry" -3600
  run -0 memolock get --tag t --id x --ttl 2h
  run -1 memolock get --tag t --id x --ttl 30m
}

# promise: starts a promise and waits for the end of its command; its token is in the file token.
promise() {
  memolock del --tag t --id x >/dev/null
  rm -f token
  spawn_get --external "$@" -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >token' >out 2>err
  await test -s token
}

@test "the result of a promise is accepted even if the clock was set back meanwhile" {
  "$HELPERS/redate" good -3600
  for as in x.entry x.TOKEN.answer; do
    promise --lease 1m
    cp good made
    mv made "$MEMOLOCK_CACHE_DIR/t/${as/TOKEN/$(<token)}"
    echo look 1<>"$MEMOLOCK_CACHE_DIR/t/x.promise" # does not wait for a reader
    finish "${spawned[-1]}"
    equal 0 "$status"
    equal 'some output' "$(<out)"
  done
}

@test "an entry stored before a promise does not complete it, whatever its date" {
  "$HELPERS/redate" "$entry" 3600
  spawn_get --external --refresh --lease 300ms -- true
  finish "${spawned[-1]}"
  equal 124 "$status"
}

@test "a promise with a damaged answer expires in time" {
  memolock del --tag t --id x >/dev/null
  spawn_get --external --lease 300ms -- sh -c 'echo rubbish >"$MEMOLOCK_CACHE_DIR/t/x.$MEMOLOCK_RUN_TOKEN.answer"'
  finish "${spawned[-1]}"
  equal 124 "$status"
  store_is_clean
}

@test "damage is reported with -v" {
  echo more >>"$entry"
  run -1 memolock get -v --tag t --id x
  contains "$output" damaged
  head -c 50 good >"$entry"
  run -1 memolock get -v --tag t --id x
  contains "$output" 'treated as a miss'
}

@test "damage is reported once, with the kind of record" {
  echo junk >"$entry"
  run --separate-stderr -3 get -v --cache-failures 1h -- sh -c 'exit 3'
  equal 1 "$(grep -c 'the stored entry is damaged' <<<"$stderr")"
  echo junk >"$MEMOLOCK_CACHE_DIR/t/x.failed"
  echo junk >"$entry"
  spawn_get -- held a false
  await test -e a.started
  spawn_get -v --on-failure retry --cache-failures 1h -- true 2>err
  waiter=$!
  await began_to_wait 1 err
  release a
  finish "$waiter"
  equal 0 "$status"
  equal 1 "$(grep -c 'the stored entry is damaged' err)"
  equal 1 "$(grep -c 'the stored failure is damaged' err)"
  ln -sf good "$entry"
  run --separate-stderr -0 get -v -- true
  equal 1 "$(grep -c "the stored entry is not a regular file that this user owns" <<<"$stderr")"
}

@test "foreign files do not disturb ls and del" {
  head -c 1000 /dev/urandom >"$MEMOLOCK_CACHE_DIR/t/y.entry"
  : >"$MEMOLOCK_CACHE_DIR/t/README"
  : >"$MEMOLOCK_CACHE_DIR/stray"
  mkfifo "$MEMOLOCK_CACHE_DIR/t/z.entry" "$MEMOLOCK_CACHE_DIR/t/z.run"
  run --separate-stderr -0 timeout 60 "$MEMOLOCK_BIN" ls
  equal 1 "${#lines[@]}"
  equal 1 "$(timeout 60 "$MEMOLOCK_BIN" del --all --tag t)"
  [[ -e $MEMOLOCK_CACHE_DIR/t/README ]]
}

@test "foreign files in place of lock and run files are harmless" {
  rm "$entry"
  for name in x.lock x.run x.wake; do
    echo rubbish >"$MEMOLOCK_CACHE_DIR/t/$name"
  done
  run -0 get --wait 1m -- echo fine
  equal fine "$output"
  store_is_clean
}

@test "symbolic links in place of run files are not followed" {
  rm "$entry"
  echo precious >precious
  for name in x.run x.wake; do ln -s "$PWD/precious" "$MEMOLOCK_CACHE_DIR/t/$name"; done
  run -0 get --wait 1m -- sh -c 'echo ttl=1h >>"$MEMOLOCK_CONTROL"; echo fine'
  equal fine "$output"
  equal precious "$(<precious)"
  store_is_clean
}

# planted COMMAND…: COMMAND plants an object in place of the run's FIFO; asserts that callers run and wait as usual.
planted() {
  rm -f "$entry"
  "$@"
  run -1 timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --wait 1m
  equal '' "$(timeout 60 "$MEMOLOCK_BIN" ls)"
  spawn_get -- held a echo held >held.out
  await test -e a.started
  [[ -p $wake && ! -L $wake ]]
  spawn_get -- false >waiter.out
  await is_waiting $!
  release a
  finish_all
  equal held "$(<held.out)"
  equal held "$(<waiter.out)"
  store_is_clean
  spawned=()
  rm a.*
}

# bats test_tags=slow
@test "an object in place of a run's FIFO is replaced by the FIFO" {
  wake=$MEMOLOCK_CACHE_DIR/t/x.wake
  echo precious >precious
  planted ln -s "$PWD/precious" "$wake"
  equal precious "$(<precious)"
  planted ln -s "$PWD/nowhere" "$wake"
  planted cp good "$wake"
  planted mkfifo "$wake"
  mkfifo kept
  planted ln -s "$PWD/kept" "$wake"
  exec 5<>kept # open, but not by a run
  planted ln kept "$wake"
  planted ln -s "$PWD/kept" "$wake"
}

@test "a run file whose FIFO no process has open belongs to a dead holder" {
  rm "$entry"
  cp good "$MEMOLOCK_CACHE_DIR/t/x.run"
  mkfifo "$MEMOLOCK_CACHE_DIR/t/x.wake"
  equal '' "$(timeout 60 "$MEMOLOCK_BIN" ls)"
  run -1 timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --wait 1m
  equal 0 "$(timeout 60 "$MEMOLOCK_BIN" del --tag t --id x)"
  store_is_clean
}

@test "a directory in place of a run's FIFO costs the entry, not the output" {
  rm "$entry"
  mkdir "$MEMOLOCK_CACHE_DIR/t/x.wake"
  run --separate-stderr -0 get -- echo output
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" x.wake
  rmdir "$MEMOLOCK_CACHE_DIR/t/x.wake"
  store_is_clean
}

@test "a caller that comes after the FIFO of a run was replaced gets the output too" {
  rm "$entry"
  wake=$MEMOLOCK_CACHE_DIR/t/x.wake
  for plant in 'mkfifo x.wake' ': >x.wake' 'ln -s x.run x.wake' true; do
    memolock del --tag t --id x
    spawn_get -- held a counted echo held >held.out
    await test -e a.started
    spawn_get -- false >early.out
    await is_waiting $!
    (cd "${wake%/*}" && rm x.wake && eval "$plant")
    spawn_get -vv -- counted echo late >late.out 2>late.err
    await grep -q 'no run is visible yet' late.err
    release a
    finish_all
    equal $'held\nheld\nheld' "$(cat held.out early.out late.out)"
    spawned=()
    rm a.*
  done
  ran_times 4
  get --refresh -- true
  store_is_clean
}

@test "a holder whose files were removed during its run does not affect the next run" {
  rm "$entry"
  spawn_get -- held a echo first 2>err
  await test -e a.started
  rm store/t/*
  spawn_get -- held b echo second
  await test -e b.started
  release a
  finish "${spawned[0]}"
  equal 0 "$status"
  is_running x
  run -124 get --wait 0 -- counted echo third
  ran_times 0
  release b
  finish "${spawned[1]}"
  equal 0 "$status"
  equal second "$(memolock get --tag t --id x)"
  store_is_clean
}
