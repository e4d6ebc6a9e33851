# For tests that make servers of their own fail: `load helpers/faults`, after common.
# shellcheck shell=bash disable=SC2154 # status comes from finish

setup_file() { :; }

# use_own_store [OPTION…]: starts a server for this test, with the server's options given, and uses it as the store.
use_own_store() {
  start_redis "$@"
  export MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
  patient
}

# use_own_id: chooses the entry of the test, one that no other process on this machine asks for.
use_own_id() {
  id=faults.$$.$BATS_TEST_NUMBER
  it=(--tag t --ttl 1h --id "$id")
}

get() { memolock get "${it[@]}" "$@"; }
spawn_get() { spawn "$MEMOLOCK_BIN" get "${it[@]}" "$@"; }

# stored: prints the entry on the server.
stored() { memolock get --tag t --id "$id" --on-store-error fail; }

# nothing_is_left_here: asserts that nothing is left in the fallback store. A gc that another test has started can have
# the lock of a run for a moment.
nothing_is_left_here() { await none_left_here; }
none_left_here() { [[ -z $(find "/tmp/memolock-$UID" -name "*$id*" 2>/dev/null) ]]; }

# ---- a holder and its waiters ----

# hold OPTION…: starts a holder, which runs until `release a` and then prints "held" and ends with 0.
hold() {
  spawn_get "$@" -- counted held a echo held >holder.out 2>holder.err
  holder=$!
  await test -e a.started
}

# wait_for_it N OPTION…: starts N waiters. If one of them has to run the command, it runs until `release b`.
wait_for_it() {
  ask "$@"
  await began_to_wait "$many" '[0-9]*.err'
}

# ask N OPTION…: the same, but does not wait until they are waiting.
ask() {
  local i
  many=$1
  waiters=()
  for ((i = 1; i <= many; i++)); do
    spawn_get -v "${@:2}" -- counted held b echo own >"$i.out" 2>"$i.err"
    waiters+=($!)
  done
}

# all_wait_again: waits until one of them has begun to run the command and all others wait for it.
all_wait_again() {
  await test -e b.started
  await began_to_wait $((2 * many - 1)) '[0-9]*.err'
}

# waiters_have TEXT: asserts that all waiters end with status 0 and this output.
waiters_have() {
  local i
  for ((i = 1; i <= many; i++)); do
    finish "${waiters[i - 1]}"
    equal "$i: 0" "$i: $status"
    equal "$1" "$(<"$i.out")"
  done
}

# waiters_were_told TEXT: asserts that each waiter has logged one warning, which contains TEXT.
waiters_were_told() {
  local i
  for ((i = 1; i <= many; i++)); do
    equal 1 "$(grep -c 'without the store' "$i.err")"
    contains "$(grep 'without the store' "$i.err")" "$1"
  done
}

# holder_has_stored, holder_has_not_stored TEXT: assert that the holder ends with status 0 and its output, and whether
# the entry is stored. In the latter case the holder has logged one line that says why.
holder_has_stored() {
  finish "$holder"
  equal 0 "$status"
  equal held "$(<holder.out)"
  is_empty holder.err
  equal held "$(stored)"
}
holder_has_not_stored() {
  finish "$holder"
  equal 0 "$status"
  equal held "$(<holder.out)"
  one_own_line "$(<holder.err)"
  contains "$(<holder.err)" "not stored: the store at $REDIS_SOCKET: $1"
}

# ---- faults ----

# cannot_save: makes the server save its data periodically, which fails.
cannot_save() {
  mkdir -p "${REDIS_SOCKET%/*}/dump.rdb"
  redis config set save '3600 1' >/dev/null
  redis bgsave >/dev/null
  await has_failed_to_save
}
has_failed_to_save() { redis info persistence | grep -q 'rdb_last_bgsave_status:err'; }

# begin_anew_slowly: kills the server and starts it again. It takes a long time to load its data, until `hurry`.
begin_anew_slowly() {
  redis config set rdbcompression no >/dev/null
  redis eval 'for i = 1, 2000 do redis.call("SET", i, ("x"):rep(2000), "EX", 600) end' 0 >/dev/null
  redis save >/dev/null
  end "$REDIS_PID"
  start_redis_again --key-load-delay 50000 --loading-process-events-interval-bytes 1024
}
hurry() { redis config set key-load-delay 0 >/dev/null; }
