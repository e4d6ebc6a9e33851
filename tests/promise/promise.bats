#!/usr/bin/env bats
# Promises, whose result other programs set: get --external, set, fail, renew.

load ../helpers/common

# No process renews a promise between the end of its command and its result.
setup() {
  isolate
  use_store
  export MEMOLOCK_LEASE=1m
}

# promise OPTION… -- COMMAND…: starts an external `get` in the background, its streams in p.out and p.err.
promise() {
  spawn_get --external "$@" >p.out 2>p.err
  promised=$!
}

# started: whether the command of the promise has written the token of its run to the file `token`.
started() { [[ -s token ]]; }

# begin OPTION…: starts a promise and waits until its command has written the token and ended.
begin() {
  promise -v "$@" -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >token.new && mv token.new token'
  await started
  await grep -q 'waiting for the result' p.err
  token=$(<token)
}

# wait_too: starts a waiter for the same promise, its streams in w.out and w.err.
wait_too() {
  spawn_get -v -- counted echo never >w.out 2>w.err
  waiter=$!
  await is_waiting "$waiter"
}

# is_kept: asserts that the promise of $token is still valid, by setting a result.
is_kept() {
  echo late | memolock set --tag t --id x --token "$token" --ttl 1h
  finish "$promised"
  equal 0 "$status"
  equal late "$(<p.out)"
}

@test "set completes a promise: the holder, a waiter and a later caller get its bytes" {
  begin
  wait_too
  printf 'a\0b' | memolock set --tag t --id x --token "$token" --ttl 1h
  finish_all
  printf 'a\0b' >want
  same_bytes want p.out
  same_bytes want w.out
  get -- counted echo never >later
  same_bytes want later
  ran_times 0
  store_is_clean
}

@test "set accepts a file, also one larger than a pipe or a single write" {
  head -c 3000000 /dev/urandom >big
  begin
  wait_too
  memolock set --tag t --id x --token "$token" --ttl 1h big
  finish_all
  same_bytes big p.out
  same_bytes big w.out
  get >later
  same_bytes big later
  store_is_clean
}

@test "the command itself can set the result before it ends" {
  get --external -- sh -c 'echo mine | "$MEMOLOCK_BIN" set --ttl 1h' >out
  equal mine "$(<out)"
  equal mine "$(get)"
  store_is_clean
}

@test "the command's own output goes to stderr, and is not part of the result" {
  run --separate-stderr -- memolock get --tag t --id x --ttl forever --external -- \
    sh -c 'echo starting; echo mine | "$MEMOLOCK_BIN" set --ttl 1h'
  equal mine "$output"
  equal starting "$stderr"
  equal mine "$(get 2>&1)"
}

@test "a program that the command left running does not delay the end of the promise" {
  promise -- sh -c 'held daemon & echo "$MEMOLOCK_RUN_TOKEN" >token'
  await started
  await test -e daemon.started
  echo made | memolock set --tag t --id x --token "$(<token)" --ttl 1h
  finish "$promised"
  equal 0 "$status"
  equal made "$(<p.out)"
  release daemon
}

@test "set --ttl 0 passes the result to the waiters, and stores nothing" {
  begin
  wait_too
  echo once | memolock set --tag t --id x --token "$token" --ttl 0
  finish_all
  equal once "$(<p.out)"
  equal once "$(<w.out)"
  run memolock get --tag t --id x
  equal 1 "$status"
  store_is_clean
}

@test "fail passes its status and message to the holder and the waiters, and stores nothing" {
  begin
  wait_too
  echo 'no such luck' | memolock fail --tag t --id x --token "$token" --status 7
  finish "$promised"
  equal 7 "$status"
  finish "$waiter"
  equal 7 "$status"
  contains "$(<p.err)" 'no such luck'
  contains "$(<w.err)" 'no such luck'
  is_empty w.out
  run memolock get --tag t --id x
  equal 1 "$status"
  store_is_clean
}

@test "a command that fails ends the promise immediately, for the waiters too" {
  promise --lease 1h -- sh -c 'held a; exit 5'
  await test -e a.started
  wait_too
  release a
  finish "$promised"
  equal 5 "$status"
  finish "$waiter"
  equal 5 "$status"
  store_is_clean
}

# bats test_tags=slow
@test "a promise without a result fails with 124 after a lease, for the waiters too" {
  fails() {
    begin --lease 8s
    wait_too
    finish "$promised"
    equal 124 "$status"
    contains "$(<p.err)" 'no result was set within'
    finish "$waiter"
  }
  fails
  # A server's lock ends with the lease. If the holder stalls at that moment, the waiter takes the lock before the
  # promise has failed, and runs its command. That is not tested here.
  if on_redis && ran 1; then
    memolock del --tag t --id x
    rm token
    : >"$RUNS"
    fails
  fi
  equal 124 "$status"
  ran_times 0
  store_is_clean
}

# bats test_tags=slow
@test "renew extends a promise" {
  begin --lease 6s
  memolock renew --tag t --id x --token "$token" --lease 1h
  # Past the first lease: a lease that begins and ends after renew.
  memolock get --tag t --id other --ttl 1h --external --lease 6200ms -- true || true
  is_kept
}

@test "renew without --lease uses the lease of the promise, whatever a variable says" {
  begin --lease 1h
  MEMOLOCK_LEASE=50ms memolock renew --tag t --id x --token "$token"
  # past that: a lease that begins and ends after renew
  run -124 memolock get --tag t --id other --ttl 1h --external --lease 200ms -- true
  is_kept
}

# bats test_tags=slow
@test "a renewal for longer than the lease is also valid while the command runs" {
  promise -v --lease 5s -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >token.new && mv token.new token; exec held a true'
  await started
  token=$(<token)
  memolock renew --tag t --id x --token "$token" --lease 1h
  # meanwhile, on a server, the holder would renew its lock several times
  run -124 memolock get --tag t --id other --ttl 1h --external --lease 4s -- true
  release a
  await grep -q 'waiting for the result' p.err
  run -124 memolock get --tag t --id other --ttl 1h --external --lease 5200ms -- true
  is_kept
}

@test "renew never shortens a promise" {
  begin --lease 1h
  memolock renew --tag t --id x --token "$token" --lease 2h
  memolock renew --tag t --id x --token "$token" --lease 10ms
  # past that: a lease that begins and ends after renew
  run -124 memolock get --tag t --id other --ttl 1h --external --lease 200ms -- true
  is_kept
}

@test "set, fail and renew with a token that holds no lock report that, exit with 1 and change nothing" {
  echo old | memolock set --tag t --id x --ttl 1h
  for verb in 'set --ttl 1h' fail renew; do
    # shellcheck disable=SC2086
    run --separate-stderr -- memolock $verb --tag t --id x --token nobodys <<<new
    equal 1 "$status"
    one_own_line "$stderr"
    contains "$stderr" 'does not hold the lock'
  done
  equal old "$(get)"
  store_is_clean
}

@test "set, fail and renew of a promise that has ended exit with 1" {
  begin
  echo kept | memolock set --tag t --id x --token "$token" --ttl 1h
  finish_all
  for verb in 'set --ttl 1h' fail renew; do
    # shellcheck disable=SC2086
    run memolock $verb --tag t --id x --token "$token" <<<new
    equal 1 "$status"
  done
  equal kept "$(get)"
  store_is_clean
}

@test "set without a token stores a result regardless of the holder, and wakes the holder of a promise" {
  begin
  echo free | memolock set --tag t --id x --ttl 1h
  finish "$promised"
  equal 0 "$status"
  equal free "$(<p.out)"
  equal free "$(get)"
  store_is_clean
}

# bats test_tags=slow
@test "set without a token wakes the waiters of a run" {
  spawn_get --refresh -- held a echo ran >holder.out
  holder=$!
  await test -e a.started
  waiters=()
  for waiter in {1..20}; do
    spawn_get --refresh -- counted false >"$waiter.out"
    waiters+=($!)
  done
  for waiter in "${waiters[@]}"; do await is_waiting "$waiter"; done
  echo set | memolock set --tag t --id x --ttl 1h
  for waiter in "${waiters[@]}"; do
    finish "$waiter"
    equal 0 "$status"
  done
  for waiter in {1..20}; do equal set "$(<"$waiter.out")"; done
  equal set "$(get -- false)"
  # a later caller that requires a newer result waits until the run ends
  spawn_get --refresh -- counted echo late >late.out
  late=$!
  await is_waiting $late
  release a
  finish $holder
  finish $late
  equal 'ran late' "$(<holder.out) $(<late.out)"
  ran_times 1
  store_is_clean
}

@test "set without a run stores an entry that get replays" {
  printf 'text' | memolock set --tag t --id y --ttl 1h
  run --separate-stderr -- memolock get --tag t --id y
  equal 0 "$status"
  equal text "$output"
  equal '' "$stderr"
  printf 'newer' | memolock set --tag t --id y --ttl 1h
  equal newer "$(memolock get --tag t --id y)"
  store_is_clean
}

@test "the token of a run is valid only for its own entry" {
  get -- sh -c 'echo aside | "$MEMOLOCK_BIN" set --tag t --id aside --ttl 1h; echo main' >out
  equal main "$(<out)"
  equal aside "$(memolock get --tag t --id aside)"
}

@test "fail without a token ends the promise of the current holder" {
  begin
  wait_too
  echo 'no more' | memolock fail --tag t --id x --status 4
  finish "$promised"
  equal 4 "$status"
  finish "$waiter"
  equal 4 "$status"
  contains "$(<w.err)" 'no more'
  run --separate-stderr -1 memolock fail --tag t --id x <<<late
  contains "$stderr" 'the lock is not held'
  store_is_clean
}

@test "set and fail do not affect a run whose result is its command's output" {
  get -- sh -c 'echo kept
    echo other | "$MEMOLOCK_BIN" set --ttl 1h 2>set.err; echo $? >set.status
    echo other | "$MEMOLOCK_BIN" fail 2>fail.err; echo $? >fail.status' >out
  for verb in set fail; do
    equal 125 "$(<$verb.status)"
    one_own_line "$(<$verb.err)"
    contains "$(<$verb.err)" '--external'
  done
  equal kept "$(<out)"
  equal kept "$(get)"
  store_is_clean
}

# nothing_is_left_of ID: whether the machine's own store has no file of it. A gc, which any test may start, locks it
# for a moment.
nothing_is_left_of() { [[ -z $(find "/tmp/memolock-$UID" -path "*/t/$1.*" 2>/dev/null) ]]; }

@test "a promise that started while the store was unreachable can be completed on this machine" {
  id=kept.$$
  MEMOLOCK_STORE=redis+unix://$PWD/nowhere promise --id "$id" -- sh -c '(sleep 0.1; echo kept | "$MEMOLOCK_BIN" set --ttl 1h) &'
  finish "$promised"
  equal 0 "$status"
  equal kept "$(<p.out)"
  one_own_line "$(<p.err)"
  await nothing_is_left_of "$id"
}

@test "other results that the command of such a promise stores go to its own store, or nowhere" {
  id=kept.$$
  export MEMOLOCK_STORE=redis+unix://$PWD/nowhere
  promise --id "$id" -- sh -c '
    printf %s "$MEMOLOCK_STORE" >store.seen
    "$MEMOLOCK_BIN" get -q --tag t --id "$MEMOLOCK_RUN_ID.y" --ttl 1h -- echo aside >aside
    "$MEMOLOCK_BIN" set --tag t --id "$MEMOLOCK_RUN_ID.z" --ttl 1h </dev/null 2>set.err; echo $? >set.status
    echo kept | "$MEMOLOCK_BIN" set --ttl 1h'
  finish "$promised"
  equal 0 "$status"
  equal kept "$(<p.out)"
  equal "$MEMOLOCK_STORE" "$(<store.seen)"
  equal aside "$(<aside)"
  equal 125 "$(<set.status)"
  contains "$(<set.err)" nowhere
  await nothing_is_left_of "$id"
}

@test "set, fail and renew require --tls-cert with --tls-key only if they use a server" {
  unset MEMOLOCK_STORE
  export MEMOLOCK_TLS_KEY=$PWD/key
  elsewhere='export MEMOLOCK_STORE=redis+unix://$PWD/nowhere MEMOLOCK_RUN_STORE=file://$MEMOLOCK_CACHE_DIR;'
  # the run is in a directory, and the settings name a server
  run -0 memolock get --tag t --id x --ttl 1h --external --lease 1m -- \
    sh -c "$elsewhere"' "$MEMOLOCK_BIN" renew && echo kept | "$MEMOLOCK_BIN" set --ttl 1h'
  equal kept "$output"
  run -7 memolock get --tag t --id y --ttl 1h --external --lease 1m -- \
    sh -c "$elsewhere"' "$MEMOLOCK_BIN" fail --status 7 </dev/null'
  # and vice versa
  export MEMOLOCK_RUN_TAG=t MEMOLOCK_RUN_ID=x MEMOLOCK_RUN_TOKEN=token MEMOLOCK_RUN_STORE=redis+unix://$PWD/nowhere
  for verb in 'set --ttl 1h' fail renew; do
    # shellcheck disable=SC2086 # words
    refused '--tls-key requires --tls-cert (MEMOLOCK_TLS_KEY)' memolock $verb </dev/null
  done
  run --separate-stderr -1 memolock renew --store "file://$MEMOLOCK_CACHE_DIR"
  contains "$stderr" 'the token does not hold the lock'
}

@test "a promise that cannot be created is not started" {
  unshare -m true 2>/dev/null || skip 'cannot create a namespace here'
  mkdir unfit
  chmod 777 unfit
  mkdir -m 700 "/tmp/memolock-$UID" 2>/dev/null || [[ -d /tmp/memolock-$UID ]]
  run --separate-stderr -125 unshare -m sh -c 'mount --bind unfit "$0" && exec "$@"' "/tmp/memolock-$UID" \
    "$MEMOLOCK_BIN" get --store "redis+unix://$PWD/nowhere" --id x --ttl 1h --external -- counted echo started
  equal '' "$output"
  one_own_line "$stderr"
  ran_times 0
}

@test "a message of fail is truncated after 1MiB" {
  begin
  head -c 1048577 /dev/zero | tr '\0' '#' >message
  run --separate-stderr -0 memolock fail --tag t --id x --token "$token" <message
  one_own_line "$stderr"
  contains "$stderr" 1MiB
  finish "$promised"
  equal 1 "$status"
  equal 1048576 "$(tr -cd '#' <p.err | wc -c)"
}

@test "the variables that identify the run are validated" {
  MEMOLOCK_RUN_TAG=t/lock MEMOLOCK_RUN_ID=x refused "MEMOLOCK_RUN_TAG: 't/lock'" memolock set --ttl 1h </dev/null
  MEMOLOCK_RUN_TAG=t MEMOLOCK_RUN_ID=$(printf '%1025s' x) refused MEMOLOCK_RUN_ID memolock set --ttl 1h </dev/null
  store_is_empty
}

@test "an interrupted holder of a promise releases it, and a waiter takes over" {
  begin --lease 1h
  wait_too
  kill -TERM "$promised"
  finish "$promised"
  equal 143 "$status"
  contains "$(<p.err)" 't:x: interrupted'
  finish "$waiter"
  equal 0 "$status"
  ran_times 1
  store_is_clean
}

@test "missing and invalid arguments of set, fail and renew are refused" {
  refused '--ttl is required' memolock set --id x </dev/null
  refused '--id is required' memolock set --ttl 1s </dev/null
  refused '--ttl 0 requires --token' memolock set --id x --ttl 0 </dev/null
  refused 'at most one FILE' memolock set --id x --ttl 1s a b
  refused 'cannot read nowhere' memolock set --id x --ttl 1s nowhere
  refused '--token' memolock renew --id x
  for verb in 'set --ttl 1h' fail renew; do
    # shellcheck disable=SC2086
    refused "'' is not a token" memolock $verb --id x --token '' </dev/null
  done
  refused '--status' memolock fail --id x --token y --status 0 </dev/null
}

@test "fail ends the promise whatever stdin is, and reports a message that it cannot read" {
  for stdin in '</' '<&-' '>/dev/null <&1'; do
    run --separate-stderr -7 memolock get --tag t --id x --ttl 1h --external -- sh -c '"$MEMOLOCK_BIN" fail --status 7 '"$stdin"
    if [[ $stdin == '</' ]]; then
      equal 'memolock: t:x: cannot read the message from stdin: Is a directory' "$stderr"
    else
      equal '' "$stderr"
    fi
  done
  store_is_clean
}

@test "set reports why it cannot read stdin" {
  # shellcheck disable=SC2016
  refused 'cannot read stdin: it is closed or open for writing only' bash -c '"$MEMOLOCK_BIN" set --id x --ttl 1h <&-'
  # shellcheck disable=SC2016
  refused 'cannot read stdin: Is a directory' bash -c '"$MEMOLOCK_BIN" set --id x --ttl 1h </'
  store_is_clean
}
