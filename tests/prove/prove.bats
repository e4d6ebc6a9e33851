#!/usr/bin/env bats
# Many concurrent callers; what they saw is compared with what memolock promises.
# bats file_tags=slow

load ../helpers/common
load ../helpers/prove

@test "the checker finds each fault in constructed histories" {
  /usr/bin/python3 -SEB "$prove/test_checker.py"
}

@test "a hundred callers of ten ids get complete results in time, and no run overlaps or repeats another" {
  local options=(--lease 0 --store-timeout 0)
  ! on_redis || options=(--lease 10 --store-timeout 10)
  # shellcheck disable=SC2034 # the helper's
  sockets=(${REDIS_SOCKET:+"$REDIS_SOCKET"})
  # shellcheck disable=SC2034
  prove_seconds=${MEMOLOCK_PROVE_SECONDS:-5}
  begin_load "${options[@]}"
  end_load
}
