#!/usr/bin/env bats
# Holders killed with SIGKILL at random moments, many times, on the local store, where the next holder takes
# over immediately.
# store: local
# bats file_tags=slow

load ../helpers/common

# nap: sleeps for up to 16 ms.
nap() { sleep "$(printf '0.%04d' $((RANDOM % 160)))"; }

# The expected output of the command: enough lines for several writes, each with its word.
work='sh -c "echo \$\$ >>grandchildren; exec sleep 0.00$(($$ % 8))"; seq -f "$0 %g" 200; seq -f "$0 %g" 201 400'
expected() { seq -f "$1 %g" 400; }

# leaves_nothing_in ROUNDS: runs each entry again, which removes files of killed holders, and asserts that none is left.
leaves_nothing_in() {
  for ((round = 1; round <= $1; round++)); do
    memolock get --refresh --tag t --id "$round" --ttl 1h -- true
  done
  store_is_clean
}

everybody_is_gone() {
  local pid
  while read -r pid; do is_gone "$pid" || return; done < <(cat "$RUNS" grandchildren 2>/dev/null)
}

@test "a holder killed at any moment leaves no torn entry, stuck waiter or orphan, in 160 rounds" {
  for round in {1..160}; do
    : >"$RUNS"
    rm -f grandchildren
    "$MEMOLOCK_BIN" get --tag t --id "$round" --ttl forever -- counted sh -c "$work" "$round" \
      >/dev/null 3>&- &
    holder=$!
    "$MEMOLOCK_BIN" get --tag t --id "$round" --ttl forever -- counted sh -c "$work" "$round" \
      >waiter.out 3>&- &
    waiter=$!
    nap
    kill -KILL $holder 2>/dev/null || true
    finish $waiter
    equal "$round: 0" "$round: $status"
    expected "$round" | cmp - waiter.out
    expected "$round" | cmp - <(memolock get --tag t --id "$round")
    finish $holder
    await everybody_is_gone
    (($(runs) <= 2)) || fail "$(runs) runs"
  done
  leaves_nothing_in 160
}

@test "a holder killed during a refresh leaves the old entry or the new one, in 80 rounds" {
  get -- sh -c "$work" 0 >/dev/null
  last=0
  for round in {1..80}; do
    "$MEMOLOCK_BIN" get --refresh --tag t --id x --ttl forever -- sh -c "$work" "$round" >/dev/null 3>&- &
    holder=$!
    nap
    kill -KILL $holder 2>/dev/null || true
    finish $holder
    memolock get --tag t --id x >seen
    word=$(head -n 1 seen)
    word=${word% *}
    expected "$word" | cmp - seen
    ((word == last || word == round)) || fail "round $round: the entry of round $word, not $last"
    last=$word
  done
}

@test "callers whose holders are killed one after another all get the complete output, in 25 rounds" {
  for round in {1..25}; do
    pids=()
    for i in {1..8}; do
      "$MEMOLOCK_BIN" get --tag t --id "$round" --ttl forever -- counted sh -c "$work" "$round" \
        >"out.$i" 3>&- &
      pids+=($!)
    done
    for i in 0 1 2; do
      nap
      kill -KILL "${pids[i]}" 2>/dev/null || true
    done
    for i in {3..7}; do
      finish "${pids[i]}"
      equal "$round: 0" "$round: $status"
      expected "$round" | cmp - "out.$((i + 1))"
    done
    for i in 0 1 2; do finish "${pids[i]}"; done
  done
  leaves_nothing_in 25
}

@test "a holder killed while it starts its command leaves no descendant of it, in 100 rounds" {
  mark=60.$$$RANDOM # no other process sleeps for this time
  for _ in {1..100}; do
    setsid "$MEMOLOCK_BIN" get --tag t --id x --ttl forever -- \
      sh -c "sleep $mark & echo part; (sleep $mark &); sleep $mark" >/dev/null 3>&- &
    holder=$!
    sleep "0.00$((RANDOM % 7))"
    kill -KILL $holder
    finish $holder
  done
  left() { pgrep -xf "sleep $mark"; }
  nothing_left() { ! left >/dev/null; }
  await nothing_left || {
    mapfile -t pids < <(left)
    kill "${pids[@]}"
    false
  }
}
