# For tests with servers of their own that fail: `load helpers/faults`, after common.
# shellcheck shell=bash disable=SC2154 # status comes from finish

setup_file() { :; }

# use_own_store [OPTION…]: the store is a server of the test's own, with such options.
use_own_store() {
  start_redis "$@"
  export MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
}

# use_own_id: the entry that the tests are about, which nobody else on this machine asks for.
use_own_id() {
  id=faults.$$.$BATS_TEST_NUMBER
  it=(--tag t --ttl 1h --id "$id")
}

get() { memolock get "${it[@]}" "$@"; }
spawn_get() { spawn "$MEMOLOCK_BIN" get "${it[@]}" "$@"; }

# stored: what the server has.
stored() { memolock get --tag t --id "$id" --on-store-error fail; }

# nothing_is_left_here: of what callers fell back on.
nothing_is_left_here() { equal '' "$(find "/tmp/memolock-$UID" -name "*$id*" 2>/dev/null)"; }

# ---- a holder, and those who wait for it ----

# hold OPTION…: a holder at work until `release a`; it will print "held" and end with 0.
hold() {
  spawn_get "$@" -- counted held a echo held >holder.out 2>holder.err
  holder=$!
  await test -e a.started
}

# wait_for_it N OPTION…: so many wait, one of whom may run the command until `release b`.
wait_for_it() {
  ask "$@"
  await began_to_wait "$many" '[0-9]*.err'
}

# ask N OPTION…: so many want the entry; as above.
ask() {
  local i
  many=$1
  waiters=()
  for ((i = 1; i <= many; i++)); do
    spawn_get -v "${@:2}" -- counted held b echo own >"$i.out" 2>"$i.err"
    waiters+=($!)
  done
}

# all_wait_again: all but one, who has begun to run the command.
all_wait_again() {
  await test -e b.started
  await began_to_wait $((2 * many - 1)) '[0-9]*.err'
}

# waiters_have TEXT: all ended well, with just that.
waiters_have() {
  local i
  for ((i = 1; i <= many; i++)); do
    finish "${waiters[i - 1]}"
    equal "$i: 0" "$i: $status"
    equal "$1" "$(<"$i.out")"
  done
}

# waiters_were_told TEXT: each in one warning that names it.
waiters_were_told() {
  local i
  for ((i = 1; i <= many; i++)); do
    equal 1 "$(grep -c 'without the store' "$i.err")"
    contains "$(grep 'without the store' "$i.err")" "$1"
  done
}

# holder_has_stored, holder_has_not_stored TEXT: it ended well; in the latter case one line says why.
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

# cannot_save: the server saves its data now and then, and that has just failed.
cannot_save() {
  mkdir -p "${REDIS_SOCKET%/*}/dump.rdb"
  redis config set save '3600 1' >/dev/null
  redis bgsave >/dev/null
  await has_failed_to_save
}
has_failed_to_save() { redis info persistence | grep -q 'rdb_last_bgsave_status:err'; }

# begin_anew_slowly: the server dies and the next one takes its time to load what it has saved; `hurry` ends that.
begin_anew_slowly() {
  redis config set rdbcompression no >/dev/null
  redis eval 'for i = 1, 2000 do redis.call("SET", i, ("x"):rep(2000), "EX", 600) end' 0 >/dev/null
  redis save >/dev/null
  end "$REDIS_PID"
  start_redis_again --key-load-delay 50000 --loading-process-events-interval-bytes 1024
}
hurry() { redis config set key-load-delay 0 >/dev/null; }
