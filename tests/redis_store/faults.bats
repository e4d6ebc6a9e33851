#!/usr/bin/env bats
# A server that refuses requests: what its callers get.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/faults

setup() {
  isolate
  use_own_id
}

# asked_again: sets the timeout for a server that refuses immediately and is asked again until the timeout.
asked_again() { export MEMOLOCK_STORE_TIMEOUT=4s; }

# log_in USERINFO: sets the user and password of the store.
log_in() { export MEMOLOCK_STORE=redis+unix://$1@$REDIS_SOCKET; }

# use_another_id: chooses an entry that does not exist.
use_another_id() {
  id+=b
  it+=(--id "$id")
}

# refuses TEXT: asserts that one line reports the refusal, and that the command runs, or with --on-store-error fail not.
refuses() {
  run --separate-stderr -7 get -- counted sh -c 'echo ours; exit 7'
  equal ours "$output"
  one_own_line "$stderr"
  contains "$stderr" "$REDIS_SOCKET: "
  contains "$stderr" "$1"
  contains "$stderr" 'without the store'
  run --separate-stderr -7 get -q -- counted sh -c 'echo ours; exit 7'
  equal ours "$output$stderr"
  ran_times 2
  refused "$1" "$MEMOLOCK_BIN" get "${it[@]}" --on-store-error fail -- counted true
  ran_times 2
  nothing_is_left_here
}

# refuses_look_ups TEXT: and that look-ups find nothing or report the refusal.
refuses_look_ups() {
  run --separate-stderr -1 memolock get --tag t --id "$id"
  equal '' "$output"
  one_own_line "$stderr"
  contains "$stderr" "$1"
  all_refused "$1" "get --tag t --id $id --on-store-error fail" ls "del --tag t --id $id" 'del --tag t --all'
  refuses_promises "$1"
}

# refuses_promises TEXT: and that set, fail and renew report the refusal, not that the run has ended.
refuses_promises() {
  local its="--tag t --id $id"
  all_refused "$1" "set $its --ttl 1h /dev/null" "set --ttl 1h $its --token abc" "fail $its --token abc" "renew $its --token abc"
}

# all_refused TEXT CALL…: asserts for each of these calls, which run concurrently, that it is `refused TEXT`.
all_refused() {
  local call calls=() i
  for call in "${@:2}"; do
    # shellcheck disable=SC2086
    spawn "$MEMOLOCK_BIN" $call </dev/null >"${#calls[@]}.said" 2>"${#calls[@]}.why"
    calls+=($!)
  done
  for i in "${!calls[@]}"; do
    finish "${calls[i]}"
    equal "${*:i+2:1}: 125" "${*:i+2:1}: $status"
    is_empty "$i.said"
    one_own_line "$(<"$i.why")"
    contains "$(<"$i.why")" "$1"
  done
}

# ---- refusals from the start ----

@test "an unreachable server is reported" {
  asked_again
  use_own_store
  end "$REDIS_PID"
  refuses 'connection refused'
  refuses_look_ups 'connection refused'
}

@test "a server that requires a password is reported" {
  use_own_store --requirepass sesame
  refuses NOAUTH
  refuses_look_ups NOAUTH
}

@test "a server that requires another password is reported" {
  use_own_store --requirepass sesame
  log_in :hunter2
  refuses WRONGPASS
  refuses_look_ups WRONGPASS
}

@test "a refused login is not retried" {
  use_own_store --requirepass sesame
  export REDISCLI_AUTH=sesame
  log_in :hunter2
  its="--tag t --id $id"
  for call in "get $its" ls "del $its" "set $its --ttl 1h" "fail $its --token abc" "renew $its --token abc"; do
    before=$(visits)
    # shellcheck disable=SC2086
    run --separate-stderr memolock $call </dev/null
    contains "$stderr" WRONGPASS
    equal "$call: $((before + 2))" "$call: $(visits)" # of which one is that of the second `visits`
  done
}

@test "a user without access to scripts is reported" {
  use_own_store --user noeval on nopass '~*' '&*' +@all -eval
  log_in noeval
  refuses NOPERM
  run -1 memolock get --tag t --id "$id"
}

@test "a user without access to these keys is reported" {
  use_own_store --user nokeys on nopass '~other:*' '&*' +@all
  log_in nokeys
  refuses NOPERM
  run --separate-stderr -1 memolock get --tag t --id "$id"
  contains "$stderr" NOPERM
  refuses_promises NOPERM
}

@test "a replica serves entries and accepts no writes" {
  asked_again
  use_own_store
  get -- echo there
  redis replicaof 127.0.0.1 1 >/dev/null
  equal there "$(get --on-store-error fail -- counted echo ours)"
  use_another_id
  refuses READONLY
  refused READONLY memolock set --tag t --id "$id" --ttl 1h /dev/null
}

@test "a replica that has lost its primary and refuses reads is reported" {
  asked_again
  use_own_store --replicaof 127.0.0.1 1 --replica-serve-stale-data no
  refuses MASTERDOWN
  refuses_look_ups MASTERDOWN
}

@test "a server without free memory serves entries and accepts no writes" {
  use_own_store
  get -- echo there
  redis config set maxmemory 1 >/dev/null
  equal there "$(get --on-store-error fail -- counted echo ours)"
  use_another_id
  refuses OOM
  refused OOM memolock set --tag t --id "$id" --ttl 1h /dev/null
}

@test "a server that cannot save its data serves entries and accepts no writes" {
  asked_again
  use_own_store
  get -- echo there
  cannot_save
  equal there "$(get --on-store-error fail -- counted echo ours)"
  use_another_id
  refuses MISCONF
  refused MISCONF memolock set --tag t --id "$id" --ttl 1h /dev/null
}

@test "a cluster without slots is reported" {
  asked_again
  use_own_store --cluster-enabled yes
  refuses CLUSTERDOWN
  refuses_promises CLUSTERDOWN
}

# fill_up: connects the only client that the server then accepts, which runs the commands written to descriptor 4.
fill_up() {
  mkfifo hold
  exec 4<>hold
  spawn redis-cli -s "$REDIS_SOCKET" <hold >/dev/null
  is_connected() { (($(redis client list | wc -l) == 2)); }
  await is_connected
  redis config set maxclients 1 >/dev/null
  is_full() { [[ $(redis ping 2>&1) == *'max number'* ]]; }
  await is_full
}

@test "a server with too many clients is reported" {
  asked_again
  use_own_store
  fill_up
  refuses 'max number of clients'
  refuses_look_ups 'max number of clients'
}

# asks_again: asserts that a lock is renewed when a server that has too many clients accepts another one.
asks_again() {
  fill_up
  echo "set t/lock:$id abc" >&4
  spawn "$MEMOLOCK_BIN" renew -vv --tag t --id "$id" --token abc 2>why
  await grep -q 'max number of clients.*trying again' why
  echo 'config set maxclients 100' >&4
  finish $!
  equal 0 "$status"
}

@test "a server with too many clients is asked again to renew a lock" {
  use_own_store
  asks_again
}

@test "a server with too many clients is asked again to renew a lock, after a login" {
  use_own_store --requirepass sesame
  export REDISCLI_AUTH=sesame
  log_in :sesame
  asks_again
}

@test "a server that loads its data for too long is reported" {
  asked_again
  use_own_store
  begin_anew_slowly
  refuses LOADING
  refuses_look_ups LOADING
}

@test "a server that loads its data soon enough is waited for" {
  use_own_store
  begin_anew_slowly
  spawn_get -vv --store-timeout 1m -- echo ours >out 2>err
  await grep -q 'LOADING.*trying again' err
  hurry
  finish_all
  equal ours "$(<out)"
  equal ours "$(stored)"
}

# ---- without channels ----

@test "a waiter without access to channels checks once per lease, and gets the result" {
  use_own_store --user quiet on nopass '~*' +@all
  log_in quiet
  export MEMOLOCK_LEASE=10s
  spawn_get -- counted held a echo shared >1.out 2>1.err
  await test -e a.started
  for i in 2 3; do spawn_get -v -- counted echo own >$i.out 2>$i.err; done
  await began_to_wait 2 '?.err'
  release a
  finish_all
  for i in 1 2 3; do equal shared "$(<$i.out)"; done
  is_empty 1.err
  contains "$(<2.err)" NOPERM
  contains "$(<2.err)" 'once per lease'
  ran_times 1
  store_is_clean
}

@test "a waiter without access to channels takes over from a dead holder too" {
  use_own_store --user quiet on nopass '~*' +@all
  log_in quiet
  spawn_get --lease 5s -- counted held a echo shared
  holder=$!
  await test -e a.started
  spawn_get -v --lease 5s -- counted echo own >2.out 2>2.err
  waiter=$!
  await began_to_wait 1 2.err
  end $holder
  finish $waiter
  equal own "$(<2.out)"
  ran_times 2
  store_is_clean
}
