#!/usr/bin/env bats
# Callers of memolock and callers that do what redis-memolock's Go client does, all at once.
# store: redis
# bats file_tags=slow

load ../helpers/common

# runs_once MILLISECONDS: in each of 300 rounds the command, which takes so long, runs once, and all get what it made.
runs_once() {
  run -0 "$HELPERS/mixed_callers" "$REDIS_SOCKET" "$MEMOLOCK_BIN" 300 "$1"
  equal '0 of 300 rounds, 0 answers' "$output"
}

@test "an instant command runs once" { runs_once 0; }
@test "a command of 10 ms runs once" { runs_once 10; }
@test "a command of 30 ms runs once" { runs_once 30; }
