#!/usr/bin/env bats
# Many callers at work, and what they saw held against what memolock promises.
# bats file_tags=slow

load ../helpers/common
load ../helpers/prove

@test "the checker finds each fault in histories made by hand" {
  /usr/bin/python3 -SEB "$prove/test_checker.py"
}

@test "a hundred callers of ten ids get whole answers in time, and no run overlaps or repeats another" {
  local options=(--lease 0 --store-timeout 0)
  ! on_redis || options=(--lease 5 --store-timeout 2)
  # shellcheck disable=SC2034 # the helper's
  sockets=(${REDIS_SOCKET:+"$REDIS_SOCKET"})
  # shellcheck disable=SC2034
  prove_seconds=${MEMOLOCK_PROVE_SECONDS:-5}
  begin_load "${options[@]}"
  end_load
}
