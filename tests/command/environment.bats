#!/usr/bin/env bats
# The environment of the command.

load ../helpers/common

@test "the variables of the command identify its run" {
  run -0 memolock get --tag 'my tag' --id 'a/b c' --ttl 1h -- \
    sh -c 'echo "$MEMOLOCK_RUN_TAG|$MEMOLOCK_RUN_ID"; echo "$MEMOLOCK_RUN_TOKEN"'
  equal 'my tag|a/b c' "${lines[0]}"
  ((${#lines[1]} >= 16))
}

@test "the derived id is in the environment" {
  run -0 memolock get --tag t --ttl 1h -- sh -c 'echo "$MEMOLOCK_RUN_ID"'
  contains "$(memolock ls)" "t	$output	fresh"
}

@test "every run has its own token" {
  one=$(get --ttl 0 -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN"')
  two=$(get --ttl 0 -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN"')
  [[ $one != "$two" && -n $one ]]
}

@test "the variables of the command name the store" {
  run -0 get -- sh -c 'unset MEMOLOCK_CACHE_DIR XDG_CACHE_HOME HOME; "$0" ls' "$MEMOLOCK_BIN"
  contains "$output" $'t\tx\trunning'
}

@test "the control file exists and is empty, and is removed afterwards" {
  run -0 get -- sh -c 'test -f "$MEMOLOCK_CONTROL" && test ! -s "$MEMOLOCK_CONTROL" && echo "$MEMOLOCK_CONTROL"'
  [[ $output == /* && ! -e $output ]]
}

@test "all other variables are the caller's" {
  export CALLERS='own value'
  env | grep -v -e ^MEMOLOCK -e ^_= | sort >direct
  get -- env | grep -v -e ^MEMOLOCK -e ^_= | sort >through
  same_bytes direct through
}

@test "MEMOLOCK_HELD names the run and the runs that it is nested in" {
  run -0 get -- sh -c 'echo "$MEMOLOCK_HELD"; echo "$MEMOLOCK_RUN_TOKEN"; exec "$0" get --tag t --id y --ttl 1h -- \
    sh -c "echo \"\$MEMOLOCK_HELD\"; echo \"\$MEMOLOCK_RUN_TOKEN\""' "$MEMOLOCK_BIN"
  contains "${lines[0]}" "${lines[1]}"
  contains "${lines[2]}" "${lines[1]}"
  contains "${lines[2]}" "${lines[3]}"
}

@test "a get of the entry whose run it is in is refused" {
  run -0 get -- sh -c 'timeout 60 "$0" get --tag t --id x --ttl 1h -- echo inner; echo "status $?"' "$MEMOLOCK_BIN"
  contains "$output" 'status 125'
  contains "$output" 'memolock: '
  lacks "$output" inner
}

@test "a get of an entry whose run is two levels further out is refused" {
  run -0 get -- "$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- \
    sh -c 'timeout 60 "$0" get --tag t --id x --ttl 1h -- echo inner; echo "status $?"' "$MEMOLOCK_BIN"
  contains "$output" 'status 125'
  lacks "$output" inner
}

@test "a get of another entry inside a run works" {
  run -0 get -- "$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- echo inner
  equal inner "$output"
}

@test "a fresh entry can be read inside its own refresh" {
  get -- echo old
  run -0 get --refresh -- "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- echo inner
  equal old "$output"
}

@test "a token that no longer holds its lock does not cause a refusal" {
  held=$(get --ttl 0 -- sh -c 'echo "$MEMOLOCK_HELD"')
  [[ -n $held ]]
  run -0 env MEMOLOCK_HELD="$held" "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- echo fine
  equal fine "$output"
}

@test "invalid content of MEMOLOCK_HELD is ignored" {
  run -0 env MEMOLOCK_HELD='= : a:b %%% x:y=z=' "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- echo fine
  equal fine "$output"
}

@test "a nested get of the same id under another tag is not refused" {
  run -0 get -- "$MEMOLOCK_BIN" get --tag u --id x --ttl 1h -- echo inner
  equal inner "$output"
}

@test "without the store the control file is /dev/null and there is no token" {
  MEMOLOCK_BYPASS=1 run -0 get -- sh -c 'echo "$MEMOLOCK_CONTROL|$MEMOLOCK_RUN_TOKEN|$MEMOLOCK_RUN_ID"'
  equal '/dev/null||x' "$output"
}

@test "with --on-timeout run the control file is /dev/null" {
  spawn_get -- held a true
  await test -e a.started
  run -0 get --wait 0 --on-timeout run -- sh -c 'echo "$MEMOLOCK_CONTROL"; echo ttl=1h >>"$MEMOLOCK_CONTROL"'
  equal /dev/null "$output"
  release a
}
