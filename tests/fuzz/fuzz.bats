#!/usr/bin/env bats
# Runs the harnesses on the corpora, which have inputs that once made a harness fail, and examples of each
# kind of input.
# store: any
# bats file_tags=slow

load ../helpers/common

corpus=$BATS_TEST_DIRNAME/corpus

@test "each harness passes on every file of its corpus" {
  export TMPDIR=$BATS_TEST_TMPDIR
  run -0 "$HELPERS/fuzz" "$corpus"
  equal "$(find "$corpus" -type f | wc -l)" "${#lines[@]}"
}

@test "each harness has a corpus, and no file of a corpus is large" {
  equal "$(ls "$corpus")" "$("$HELPERS/fuzz" "$corpus" | cut -d / -f 1 | sort -u)"
  equal '' "$(find "$corpus" -type f -size +8k)"
}

# Its output has the seeds of failed sessions, and the messages of memolock in them.
sessions() { run -0 timeout 840 "$HELPERS/fuzz_session" "$MEMOLOCK_BIN" "$BATS_TEST_TMPDIR/found" "$@"; }

@test "when a server corrupts some replies, each call ends in a permitted way and runs its command at most once" {
  sessions 400 1
}

@test "sessions that once found a fault pass" {
  mapfile -t seeds < <(grep -o '^[0-9]*' "$BATS_TEST_DIRNAME/session/seeds")
  sessions each "${seeds[@]}"
}
