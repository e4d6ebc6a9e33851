#!/usr/bin/env bats
# Runs the harnesses on the corpora: input that once made one fail, and examples of each kind of
# input.
# store: any
# bats file_tags=slow

load ../helpers/common

corpus=$BATS_TEST_DIRNAME/corpus

@test "all that reads bytes from elsewhere bears what is kept for it" {
  export TMPDIR=$BATS_TEST_TMPDIR
  run -0 "$HELPERS/fuzz" "$corpus"
  equal "$(find "$corpus" -type f | wc -l)" "${#lines[@]}"
}

@test "each harness has a corpus, and no file of a corpus is large" {
  equal "$(ls "$corpus")" "$("$HELPERS/fuzz" "$corpus" | cut -d / -f 1 | sort -u)"
  equal '' "$(find "$corpus" -type f -size +8k)"
}

# What it prints says which seeds went wrong, and with which words of memolock.
sessions() { run -0 timeout 500 "$HELPERS/fuzz_session" "$MEMOLOCK_BIN" "$BATS_TEST_TMPDIR/found" "$@"; }

@test "no call is too much for, nor runs its command twice on, a server that answers nearly as it should" {
  sessions 400 1
}

@test "the sessions that once went wrong go well" {
  mapfile -t seeds < <(grep -o '^[0-9]*' "$BATS_TEST_DIRNAME/session/seeds")
  sessions each "${seeds[@]}"
}
