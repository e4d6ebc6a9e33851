#!/usr/bin/env bats
# stats: the results of calls on this machine.

load ../helpers/common

# counted_as FIELD NUMBER: asserts this value for the tag t.
counted_as() { equal "$1 $2" "$1 $(memolock stats --tag t --json | jq ".[0].$1")"; }

@test "stats before the first call prints nothing" {
  run --separate-stderr -0 memolock stats
  equal '' "$output$stderr"
  equal '[]' "$(memolock stats --json)"
}

@test "a miss, a hit and a look-up that finds nothing are counted" {
  get -- echo 12345
  memolock get --tag t --id none || true
  get -- echo 12345
  get -- echo 12345
  counted_as misses 2
  counted_as hits 2
  counted_as waits 0
  counted_as stale 0
  counted_as failures 0
  counted_as bytes 12
}

@test "a waiter is counted as such" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get -- true
  await is_waiting $!
  release a
  finish_all
  counted_as misses 1
  counted_as waits 1
  counted_as hits 0
}

@test "a failed run is a miss and a failure" {
  run -3 get -- sh -c 'exit 3'
  counted_as misses 1
  counted_as failures 1
}

@test "a wait that times out is counted as a failure, not as a miss" {
  spawn_get -- held a true
  await test -e a.started
  run -124 get --wait 0 -- true
  release a
  finish_all
  counted_as misses 1
  counted_as failures 1
}

@test "a stale entry is counted as stale, and its run time as saved" {
  memolock get --tag t --id x --ttl 1ms --stale 1h -- sh -c 'sleep 0.1; echo old'
  run -0 memolock get --tag t --id x --ttl 1ms --stale 1h -- echo new
  equal old "$output"
  counted_as stale 1
  counted_as misses 1
  counted_as failures 0
  equal true "$(memolock stats --tag t --json | jq '.[0].saved >= 0.1')"
}

@test "an older entry after a failed run is stale; that run is a miss and a failure, and no time was saved" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- sh -c 'sleep 0.1; echo old'
  run -0 --separate-stderr memolock get --tag t --id x --ttl 1ms --stale-if-error 1h --report report -- false
  equal old "$output"
  counted_as stale 1
  counted_as misses 2
  counted_as failures 1
  counted_as saved 0
  counted_as bytes 4
  equal '"stale" 0' "$(jq -c '.outcome, .saved' report | paste -sd ' ')"
}

@test "a bypassed call is not counted" {
  MEMOLOCK_BYPASS=1 get -- true
  equal '' "$(memolock stats)"
  [[ ! -e $MEMOLOCK_CACHE_DIR/.stats ]]
}

@test "the run time that hits and waiters saved is added up" {
  get -- sleep 0.2
  counted_as saved 0
  get -- false
  get -- false
  # the run took a little longer than its sleep
  saved=$(memolock stats --tag t --json | jq '.[0].saved >= 0.4 and .[0].saved < 40')
  equal true "$saved"
}

@test "the counts of 200 concurrent hits are exact" {
  get -- echo 1234
  seq 200 | xargs -P 200 -I '{}' "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false >out
  equal 200 "$(wc -l <out)"
  counted_as hits 200
  counted_as bytes 1000
  counted_as misses 1
}

# bats test_tags=slow
@test "the counts of 200 processes that create the file at the same time are exact" {
  # look-ups are counted if there is a local store, but do not create it
  memolock get --store local --tag t --id x --ttl 1h -- true
  for round in {1..5}; do
    rm -rf "$MEMOLOCK_CACHE_DIR/.stats"
    seq 200 | xargs -P 200 -I '{}' "$MEMOLOCK_BIN" get --tag t --id "none-$round" || true
    counted_as misses 200
    equal "$MEMOLOCK_CACHE_DIR/.stats/t.counts" "$(find "$MEMOLOCK_CACHE_DIR/.stats" -type f)"
  done
}

@test "a reset during 200 counts loses none" {
  get -- echo 1234
  memolock stats --reset >/dev/null
  seq 200 | xargs -P 50 -I '{}' "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false >out 3>&- &
  job=$!
  while kill -0 $job 2>/dev/null; do memolock stats --reset --json >>resets; done
  wait $job
  memolock stats --reset --json >>resets
  equal 200 "$(jq -s '[.[][].hits] | add' resets)"
  counted_as hits 0
}

@test "stats --reset prints the counters and resets them" {
  get -- echo 12345
  get -- echo 12345
  since=$(memolock stats --json | jq '.[0].since')
  equal 1 "$(memolock stats --reset | cut -f 2)"
  counted_as hits 0
  counted_as misses 0
  counted_as bytes 0
  equal true "$(memolock stats --json | jq ".[0].since > $since")"
}

@test "stats --reset keeps the counters if they could not be printed" {
  get -- echo 12345
  get -- echo 12345
  before=$(memolock stats --json)
  refused 'cannot write the counters' bash -c '"$@" >/dev/full' - "$MEMOLOCK_BIN" stats --reset
  equal "$before" "$(memolock stats --json)"
}

@test "in a pipe there is one line for each tag, with fields separated by tabs" {
  memolock get --tag b --id x --ttl 1h -- echo 1
  memolock get --tag a --id x --ttl 1h -- echo 1
  memolock get --tag a --id x --ttl 1h -- echo 1
  equal $'a\t1\t1\t0\t0\t0\nb\t0\t1\t0\t0\t0' "$(memolock stats | cut -f 1-6)"
  equal $'a\nb' "$(memolock stats --json | jq -r '.[].tag')"
  equal b "$(memolock stats --tag b | cut -f 1)"
}

@test "on a terminal there is a table with readable names and times" {
  get -- sleep 0.1
  get -- sleep 0.1
  run on_terminal 80 "$MEMOLOCK_BIN stats"
  [[ ${lines[0]} =~ ^TAG\ +HITS\ +MISSES\ +WAITS\ +STALE\ +FAILURES\ +SAVED\ +BYTES$ ]]
  [[ ${lines[1]} =~ ^t\ +1\ +1\ +0\ +0\ +0\ +[0-9.]+m?s\ +0\ B$ ]]
}

@test "a tag with any characters is counted under its name" {
  tag='a/b %*日本 ..'
  memolock get --tag "$tag" --id x --ttl 1h -- true
  equal "$tag" "$(memolock stats --json | jq -r '.[0].tag')"
  equal "$tag" "$(memolock stats --tag "$tag" --json | jq -r '.[0].tag')"
  long=$(printf 'l%.0s' {1..1000})
  memolock get --tag "$long" --id x --ttl 1h -- true
  equal "$long" "$(memolock stats --tag "$long" | cut -f 1)"
}

@test "an error in counting does not make a call fail" {
  mkdir -p "$MEMOLOCK_CACHE_DIR"
  chmod 700 "$MEMOLOCK_CACHE_DIR"
  : >"$MEMOLOCK_CACHE_DIR/.stats"
  run --separate-stderr -0 get -- echo out
  equal out "$output"
  equal '' "$stderr"
  equal '' "$(memolock stats)"
}

@test "a call that ran without the store is not counted" {
  memolock get --store redis+unix:///nowhere --tag t --id x --ttl 1h -- true
  run -1 memolock get --store redis+unix:///nowhere --tag t --id x --ttl 1h -- false
  equal '[]' "$(memolock stats --json)"
}
