#!/usr/bin/env bats
# A limit on the size of files (RLIMIT_FSIZE) is an error like a full disk, and does not kill memolock.
# store: any

load ../helpers/common

# limited COMMAND…: runs it where no file can grow, with a line on stdin, stdout in the file `out` and stderr in a pipe.
limited() {
  echo line | bash -c 'ulimit -f 0; exec "$@" >out' - "$@" 2>&1 | cat >&2
  return "${PIPESTATUS[1]}"
}

# refuses PART VERB…: asserts that it ends with 125 and one line that contains PART.
refuses() { refused "$1" limited "$MEMOLOCK_BIN" "${@:2}"; }

@test "if no file can grow, failing to print a result is an error" {
  get -- echo output >/dev/null
  for verb in ls 'ls --json' 'show --tag t --id x' stats 'stats --json' doctor 'key --id x' 'del --id nothing' \
    'completion fish' --help 'set --help' --version 'get --tag t --id x' 'get --tag t --id x --ttl 1h -- false'; do
    # shellcheck disable=SC2086
    refuses 'ile too large' $verb
    is_empty out
  done
}

@test "if no file can grow, stdin cannot be stored, which is an error" {
  refuses 'cannot copy stdin' get --tag t --id x --ttl 1h --key-stdin -- counted true
  refuses 'cannot copy stdin' key --id x --key-stdin
  ran_times 0
}

@test "if no file can grow, set changes nothing and reports that" {
  get -- echo old >/dev/null
  ! on_redis || export TMPDIR=$BATS_TEST_TMPDIR
  refuses 'ile too large' set --tag t --id x --ttl 1h
  equal old "$(get)"
  store_is_clean
}

@test "if no file can grow, the command still runs with its own limit and signal actions" {
  # the limit does not apply to a terminal or a pipe
  run --separate-stderr bash -c 'ulimit -f 0; "$0" get --tag t --id x --ttl 1h -- sh -c "grep -e SigBlk -e SigIgn /proc/self/status; exit 3" 2>/dev/null | cat
    exit "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  equal 3 "$status"
  equal "$(grep -e SigBlk -e SigIgn /proc/self/status)" "$output"
  run -153 bash -c 'ulimit -f 0; "$0" get --tag t --id y --ttl 1h -- perl -e '"'open(F, \">f\"); print F 1; close F'"' 2>/dev/null | cat
    exit "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
}
