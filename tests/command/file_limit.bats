#!/usr/bin/env bats
# A limit on the size of files (RLIMIT_FSIZE): an error like a full disk, not the end of memolock.
# store: any

load ../helpers/common

# limited COMMAND…: where no file may grow, with a line on stdin, stdout in the file `out`, and stderr in a pipe.
limited() {
  echo line | bash -c 'ulimit -f 0; exec "$@" >out' - "$@" 2>&1 | cat >&2
  return "${PIPESTATUS[1]}"
}

# refuses PART VERB…: it ends with 125 and one line that has PART.
refuses() { refused "$1" limited "$MEMOLOCK_BIN" "${@:2}"; }

@test "with no room in any file what a verb prints is an error" {
  get -- echo output >/dev/null
  for verb in ls 'ls --json' 'show --tag t --id x' stats 'stats --json' doctor 'key --id x' 'del --id nothing' \
    'completion fish' --help 'set --help' --version 'get --tag t --id x' 'get --tag t --id x --ttl 1h -- false'; do
    # shellcheck disable=SC2086
    refuses 'ile too large' $verb
    is_empty out
  done
}

@test "with no room in any file stdin cannot be kept, and that is an error" {
  refuses 'cannot copy stdin' get --tag t --id x --ttl 1h --key-stdin -- counted true
  refuses 'cannot copy stdin' key --id x --key-stdin
  ran_times 0
}

@test "with no room in any file set changes nothing, and says so" {
  get -- echo old >/dev/null
  ! on_redis || export TMPDIR=$BATS_TEST_TMPDIR
  refuses 'ile too large' set --tag t --id x --ttl 1h
  equal old "$(get)"
  store_is_clean
}

@test "with no room in any file a command runs with its own limit and its own signals" {
  # on a terminal or a pipe there is no limit
  run --separate-stderr bash -c 'ulimit -f 0; "$0" get --tag t --id x --ttl 1h -- sh -c "grep -e SigBlk -e SigIgn /proc/self/status; exit 3" 2>/dev/null | cat
    exit "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  equal 3 "$status"
  equal "$(grep -e SigBlk -e SigIgn /proc/self/status)" "$output"
  run -153 bash -c 'ulimit -f 0; "$0" get --tag t --id y --ttl 1h -- perl -e '"'open(F, \">f\"); print F 1; close F'"' 2>/dev/null | cat
    exit "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
}
