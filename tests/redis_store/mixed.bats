#!/usr/bin/env bats
# Concurrent callers of memolock and of simulated clients of redis-memolock.
# store: redis
# bats file_tags=slow

load ../helpers/common

# runs_once MILLISECONDS: asserts for 300 rounds that a command of this duration runs once, and all get its result.
runs_once() {
  run -0 "$HELPERS/mixed_callers" "$REDIS_SOCKET" "$MEMOLOCK_BIN" 300 "$1"
  equal '0 of 300 rounds, 0 answers' "$output"
}

@test "an instant command runs once" { runs_once 0; }
@test "a command of 10 ms runs once" { runs_once 10; }
@test "a command of 30 ms runs once" { runs_once 30; }
