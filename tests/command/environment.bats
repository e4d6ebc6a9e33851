#!/usr/bin/env bats
# What the command finds in its environment.

load ../helpers/common

@test "the command finds its run in the environment" {
  run -0 memolock get --tag 'my tag' --id 'a/b c' --ttl 1h -- \
    sh -c 'echo "$MEMOLOCK_RUN_TAG|$MEMOLOCK_RUN_ID"; echo "$MEMOLOCK_RUN_TOKEN"'
  equal 'my tag|a/b c' "${lines[0]}"
  ((${#lines[1]} >= 16))
}

@test "the derived id is in the environment" {
  run -0 memolock get --tag t --ttl 1h -- sh -c 'echo "$MEMOLOCK_RUN_ID"'
  contains "$(memolock ls)" "t	$output	fresh"
}

@test "every run has a token of its own" {
  one=$(get --ttl 0 -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN"')
  two=$(get --ttl 0 -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN"')
  [[ $one != "$two" && -n $one ]]
}

@test "the command finds the store in the environment" {
  run -0 get -- sh -c 'unset MEMOLOCK_CACHE_DIR XDG_CACHE_HOME HOME; "$0" ls' "$MEMOLOCK_BIN"
  contains "$output" $'t\tx\trunning'
}

@test "the control file exists, empty, and is gone afterwards" {
  run -0 get -- sh -c 'test -f "$MEMOLOCK_CONTROL" && test ! -s "$MEMOLOCK_CONTROL" && echo "$MEMOLOCK_CONTROL"'
  [[ $output == /* && ! -e $output ]]
}

@test "the rest of the environment is the caller's" {
  export CALLERS='own value'
  env | grep -v -e ^MEMOLOCK -e ^_= | sort >direct
  get -- env | grep -v -e ^MEMOLOCK -e ^_= | sort >through
  same_bytes direct through
}

@test "MEMOLOCK_HELD names the run and those around it" {
  run -0 get -- sh -c 'echo "$MEMOLOCK_HELD"; echo "$MEMOLOCK_RUN_TOKEN"; exec "$0" get --tag t --id y --ttl 1h -- \
    sh -c "echo \"\$MEMOLOCK_HELD\"; echo \"\$MEMOLOCK_RUN_TOKEN\""' "$MEMOLOCK_BIN"
  contains "${lines[0]}" "${lines[1]}"
  contains "${lines[2]}" "${lines[1]}"
  contains "${lines[2]}" "${lines[3]}"
}

@test "a get for the entry that it runs inside of is refused" {
  run -0 get -- sh -c 'timeout 60 "$0" get --tag t --id x --ttl 1h -- echo inner; echo "status $?"' "$MEMOLOCK_BIN"
  contains "$output" 'status 125'
  contains "$output" 'memolock: '
  lacks "$output" inner
}

@test "a get for an entry two runs further out is refused" {
  run -0 get -- "$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- \
    sh -c 'timeout 60 "$0" get --tag t --id x --ttl 1h -- echo inner; echo "status $?"' "$MEMOLOCK_BIN"
  contains "$output" 'status 125'
  lacks "$output" inner
}

@test "a get for another entry from inside a run works" {
  run -0 get -- "$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- echo inner
  equal inner "$output"
}

@test "a fresh entry can be had from inside its own refresh" {
  get -- echo old
  run -0 get --refresh -- "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- echo inner
  equal old "$output"
}

@test "a token that no longer holds its lock is no deadlock" {
  held=$(get --ttl 0 -- sh -c 'echo "$MEMOLOCK_HELD"')
  [[ -n $held ]]
  run -0 env MEMOLOCK_HELD="$held" "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- echo fine
  equal fine "$output"
}

@test "rubbish in MEMOLOCK_HELD is passed over" {
  run -0 env MEMOLOCK_HELD='= : a:b %%% x:y=z=' "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- echo fine
  equal fine "$output"
}

@test "a nested entry of the same id in another tag is no deadlock" {
  run -0 get -- "$MEMOLOCK_BIN" get --tag u --id x --ttl 1h -- echo inner
  equal inner "$output"
}

@test "uncached the control file is /dev/null and there is no token" {
  MEMOLOCK_BYPASS=1 run -0 get -- sh -c 'echo "$MEMOLOCK_CONTROL|$MEMOLOCK_RUN_TOKEN|$MEMOLOCK_RUN_ID"'
  equal '/dev/null||x' "$output"
}

@test "--on-timeout run runs with /dev/null for a control file" {
  spawn_get -- held a true
  await test -e a.started
  run -0 get --wait 0 --on-timeout run -- sh -c 'echo "$MEMOLOCK_CONTROL"; echo ttl=1h >>"$MEMOLOCK_CONTROL"'
  equal /dev/null "$output"
  release a
}
