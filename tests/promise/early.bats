#!/usr/bin/env bats
# --early and --jitter: entries that neither expire all at the same time nor while they are read often. Both depend on a
# random number; the rule itself is tested with a table in tests/helpers/freshness_table.cpp.

load ../helpers/common

# soon …: an entry whose run took 0.3 s, which all but one in ten thousand readers treat as due.
soon() { memolock get --tag t --id x --ttl 30s --early=1000000 "$@"; }

@test "the decisions about freshness match their table" {
  run -0 "$HELPERS/freshness_table"
}

@test "an entry that is due is refreshed by its reader" {
  soon -- counted sh -c 'sleep 0.3; echo first' >/dev/null
  refreshes() { [[ $(soon -- counted echo second) == second ]]; }
  refreshes || refreshes || refreshes
  ran_times 2
}

@test "an entry that is not due is not refreshed" {
  memolock get --tag t --id x --ttl 1h --early -- counted sh -c 'sleep 0.01; echo first' >/dev/null
  equal first "$(memolock get --tag t --id x --ttl 1h --early -- counted echo second)"
  equal first "$(memolock get --tag t --id x --ttl 1h --early=0 -- counted echo second)"
  ran_times 1
  memolock get --tag t --id kept --ttl forever -- sh -c 'sleep 0.01; echo first' >/dev/null
  equal first "$(memolock get --tag t --id kept --ttl forever --early=1000000 -- counted echo second)"
  ran_times 1
}

@test "while one caller refreshes early, all others use the existing entry" {
  soon -- counted sh -c 'sleep 0.3; echo first' >/dev/null
  refreshes() {
    spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 30s --early=1000000 -- counted held a echo second >/dev/null
    has_decided() { [[ -e a.started ]] || is_gone "${spawned[-1]}"; }
    await has_decided
    [[ -e a.started ]]
  }
  refreshes || refreshes || refreshes
  equal first "$(soon -- counted echo third)"
  equal first "$(get -- counted echo third)"
  release a
  finish_all
  equal second "$(get -- counted echo third)"
  ran_times 2
}

@test "if an early refresh fails, its caller gets the old entry" {
  soon -- sh -c 'sleep 0.3; echo first' >/dev/null
  run --separate-stderr -0 soon -- sh -c 'echo broken; exit 3'
  equal first "$output"
}

@test "a look-up never refreshes" {
  soon -- sh -c 'sleep 0.3; echo first' >/dev/null
  equal first "$(memolock get --tag t --id x --early=1000000)"
}

@test "--jitter shortens a ttl by at most the given percentage" {
  for i in {1..40}; do memolock get --tag t --id "$i" --ttl 100h --jitter 50% -- true; done
  memolock ls | cut -f 5 >lefts
  different=$(sort -u lefts | wc -l)
  ((different > 10)) || fail "$different different ttls"
  while read -r left; do
    [[ $left =~ ^([0-9]+)d([0-9]+)h ]] || [[ $left =~ ^([0-9]+)d ]] || fail "left: $left"
    hours=$((10#${BASH_REMATCH[1]} * 24 + 10#${BASH_REMATCH[2]:-0}))
    ((hours >= 49 && hours <= 100)) || fail "left: $left"
  done <lefts
}

@test "without --jitter, and with forever, a ttl is not changed" {
  memolock get --tag t --id x --ttl forever --jitter 100 -- true
  equal forever "$(memolock ls | cut -f 5)"
}

@test "invalid numbers are refused" {
  refused '--jitter' get --jitter 101 -- true
  refused '--jitter' get --jitter x -- true
  refused '--early' get --early=x -- true
  refused '--stale' get --stale x -- true
  refused '--stale-if-error' get --stale-if-error -1 -- true
  refused '--cache-failures' get --cache-failures 1x -- true
}
