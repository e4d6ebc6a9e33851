#!/usr/bin/env bats
# Any number of concurrent callers, and a single run.

load ../helpers/common

# callers N COMMAND…: starts N concurrent callers; their output is in out.NUMBER, their failures in `failed`.
callers() {
  local i pids=()
  rm -f out.* failed
  for ((i = 0; i < $1; i++)); do
    "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl "${ttl:-forever}" -- "${@:2}" >"out.$i" 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || echo "$i $?" >>failed; done
}

# all_printed N TEXT
all_printed() {
  [[ ! -e failed ]] || fail "failed: $(<failed)"
  equal "$1 $2" "$(cat out.* | sort | uniq -c | sed 's/^ *//')"
}

# bats test_tags=slow
@test "200 callers run an instant command once, in each of 12 rounds" {
  for id in {1..12}; do
    callers 200 counted echo "answer $id"
    all_printed 200 "answer $id"
    ran_times "$id"
  done
  store_is_clean
}

# bats test_tags=slow
@test "200 callers run a command of some milliseconds once, in each of 10 rounds" {
  for id in {1..10}; do
    callers 200 counted sh -c "sleep 0.0$((RANDOM % 90 + 10)); echo answer $id"
    all_printed 200 "answer $id"
    ran_times "$id"
  done
  store_is_clean
}

# waiters COMMAND…: starts 500 callers that wait for a run in progress, or 100 if each needs ten times the memory.
waiters() {
  local i
  many=500
  ! is_sanitized || many=100
  pids=()
  for ((i = 1; i <= many; i++)); do
    "$MEMOLOCK_BIN" get -v --tag t --id x --ttl forever -- "$@" >"out.$i" 2>"err.$i" 3>&- &
    pids+=($!)
  done
  await began_to_wait $many 'err.*'
}

# bats test_tags=slow
@test "500 waiters share one run" {
  spawn_get -- counted held a echo one
  await test -e a.started
  waiters counted echo other
  release a
  for pid in "${pids[@]}"; do wait "$pid"; done
  all_printed $many one
  ran_times 1
  store_is_clean
}

# bats test_tags=slow
@test "500 waiters whose holder is killed share one more run" {
  # A server notices that when the lease ends: by default after up to a minute, as long as `await` waits.
  export MEMOLOCK_LEASE=20s
  spawn_get -- counted held a echo one
  await test -e a.started
  waiters counted held b echo two
  end "${spawned[0]}"
  await test -e b.started
  # all waiters have noticed the end of the first run
  await began_to_wait $((2 * many - 1)) 'err.*'
  release b
  for pid in "${pids[@]}"; do wait "$pid"; done
  all_printed $many two
  ran_times 2
  store_is_clean
}

@test "callers of different ids do not delay each other" {
  for i in {1..100}; do
    "$MEMOLOCK_BIN" get --tag t --id "$((i % 10))" --ttl forever -- counted echo "$((i % 10))" \
      >"out.$i" 3>&- &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  ran_times 10
  for i in {1..100}; do equal $((i % 10)) "$(<"out.$i")"; done
}

# bats test_tags=slow
@test "readers never see a mixture of results while an entry is refreshed repeatedly" {
  mixture='for i in $(seq 3000); do echo "$0"; done'
  get -- sh -c "$mixture" 0 >/dev/null
  for i in {1..40}; do get --refresh -- sh -c "$mixture" "$i" >/dev/null; done 3>&- &
  writer=$!
  while kill -0 "$writer" 2>/dev/null; do
    memolock get --tag t --id x >seen
    equal 3000 "$(wc -l <seen)"
    equal 1 "$(sort -u seen | wc -l)"
  done
  wait "$writer"
}
