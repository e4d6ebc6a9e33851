#!/usr/bin/env bats
# --report: one line of JSON for each call.

load ../helpers/common

string='"([^"\\]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*"'
number='-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?'
member="$string:($string|$number|null|true|false)"

# reported OUTCOME [PART]: asserts that the last line of the report is a JSON object with this outcome and with PART.
reported() {
  local line
  line=$(tail -n 1 report)
  LC_ALL=C.UTF-8 grep -qxE "\{$member(,$member)*\}" <<<"$line" || fail "no JSON: $line"
  contains "$line" "\"outcome\":\"$1\""
  contains "$line" "${2:-}"
}

@test "a miss and a hit have one line each" {
  get --report report -- echo 1
  reported miss '"status":0'
  get --report report -- echo 1
  reported hit '"status":0'
  equal 2 "$(wc -l <report)"
}

@test "tag, id and status are reported" {
  run -3 memolock get --tag 'my tag' --id 'my id' --ttl 1h --report report -- sh -c 'exit 3'
  reported miss '"tag":"my tag"'
  reported miss '"id":"my id"'
  reported miss '"status":3'
}

@test "the report of a hit has its age, the run time and the time saved" {
  get --report report -- sleep 0.2
  reported miss '"saved":0'
  get --report report -- true
  reported hit
  equal 'true true true' "$(tail -n 1 report | jq -r '"\(.run_time >= 0.2) \(.saved > 0) \(.age != null)"')"
}

@test "the outcome of a waiter is reported as such" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get --report report -- true
  await is_waiting $!
  release a
  finish_all
  reported waited
}

@test "the status is reported if the output could not be written" {
  status=0
  get --report report -- echo x 2>err >/dev/full || status=$?
  equal 125 "$status"
  reported miss '"status":125'
  equal 0 "$(memolock stats --json | jq '.[0].failures')" # failures of the command
}

@test "a report to a FIFO goes to its reader; without a reader there is only a warning" {
  mkfifo report
  run --separate-stderr -0 get --report report -- echo x
  equal x "$output"
  one_own_line "$stderr"
  exec {reader}<>report
  get --report report -- echo x
  read -r -u "$reader" line
  contains "$line" '"outcome":"hit"'
}

@test "a FIFO whose reader does not read costs the report, with a warning, but not the output, the status or any time" {
  mkfifo report
  exec {reader}<>report
  dd if=/dev/zero bs=4096 count=1000 oflag=nonblock status=none of=report 2>/dev/null || true
  # the longest names: the report is longer than a FIFO takes atomically
  long=$(printf '\1%.0s' {1..1000})
  for id in x "$long"; do
    for round in miss hit; do
      run --separate-stderr -3 timeout 60 "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h --cache-failures 1h --report report -- \
        sh -c 'echo output; exit 3'
      equal "$round: output" "$round: $output"
      one_own_line "$stderr"
      contains "$stderr" 'cannot write the report report: the pipe is full'
    done
  done
  MEMOLOCK_BYPASS=1 run --separate-stderr -3 timeout 60 "$MEMOLOCK_BIN" lock --id x --report report -- sh -c 'exit 3'
  exec {reader}>&-
}

@test "a report for which the FIFO has not enough room is not written at all" {
  mkfifo report
  long=$(printf '\1%.0s' {1..1000})
  # the FIFO already contains pages that are full, or half full
  for size in 4096 2049; do
    exec {reader}<>report
    dd if=/dev/zero bs=$size count=15 status=none of=report
    run --separate-stderr -0 get --id "$long" --report report -- echo x
    one_own_line "$stderr"
    contains "$stderr" 'cannot write the report report: the pipe is full'
    get --report report -- echo x
    head -c $((15 * size)) <&$reader >/dev/null
    read -r -t 30 -u "$reader" line
    equal '"x"' "$(jq .id <<<"$line")"
    # an empty FIFO has enough room
    get --id "$long" --report report -- echo x
    read -r -t 30 -u "$reader" line
    equal 1000 "$(jq -r .id <<<"$line" | tr -d '\n' | wc -c)"
    exec {reader}>&-
  done
}

@test "the outcome of a wait that timed out is reported" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- echo old
  spawn_get --ttl 1ms -- held a true
  await test -e a.started
  run -124 get --ttl 1ms --wait 0 --report report -- true
  reported timeout '"status":124'
  run -0 get --ttl 1ms --wait 0 --on-timeout stale --report report -- true
  reported stale
  run -0 get --ttl 1ms --wait 0 --on-timeout run --report report -- true
  reported bypass
}

@test "a look-up that finds nothing is reported" {
  run -1 memolock get --tag t --id x --report report
  reported absent '"status":1'
}

@test "a bypass is reported" {
  MEMOLOCK_BYPASS=1 get --report report -- true
  reported bypass
}

@test "an interrupted call is reported" {
  spawn_get --report report -- sh -c ': >ready; exec sleep 60'
  await test -e ready
  kill -TERM $!
  finish $!
  reported interrupted
}

@test "an error of the store is reported" {
  : >file
  memolock get --store "file://$PWD/file" --tag t --id "report-$$-$RANDOM" --ttl 1h --report report -- true 2>/dev/null
  reported miss '"store_error":"'
}

@test "a report is valid JSON for any id" {
  for id in '"' '\' $'new\nline' $'\x1b[31m' $'\xff\xfe' 'ünï' $'\t' '</script>'; do
    memolock get --tag t --id "$id" --ttl 1h --report report -- true
    reported miss
  done
  equal 8 "$(wc -l <report)"
}

@test "concurrent reports are not mixed" {
  for i in {1..50}; do
    "$MEMOLOCK_BIN" get --tag t --id "$i" --ttl 1h --report report -- true 3>&- &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  equal 50 "$(wc -l <report)"
  equal 50 "$(grep -cxE "\{$member(,$member)*\}" report)"
}

@test "a report that cannot be written costs one warning only" {
  run --separate-stderr -3 get --report /proc/nothing/here -- sh -c 'echo output; exit 3'
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" /proc/nothing/here
}

@test "a report to the descriptor of a file is written at the caller's current position" {
  # shellcheck disable=SC2094
  for name in /dev/stdout /dev/fd/1 /proc/self/fd/1; do
    {
      echo first
      get --report $name -- echo output
      echo next
    } >log
    equal first "$(head -n 1 log)"
    equal output "$(sed -n 2p log)"
    contains "$(sed -n 3p log)" '"status":0'
    equal next "$(tail -n +4 log)"
  done
  {
    get --report /dev/stderr -- true
    echo next >&2
  } 2>log
  {
    get --report /dev/fd/7 -- true
    echo next >&7
  } 7>>log
  equal 2 "$(grep -c '"outcome":"hit"' log)"
  equal 2 "$(grep -cx next log)"
  equal 4 "$(wc -l <log)"
  contains "$(get --report /dev/stdout -- true | cat)" '"outcome":"hit"'
}

@test "a report to a descriptor that the caller does not have is refused with a warning" {
  for fd in 3 4 5 6 7 8 9; do
    run --separate-stderr -0 bash -c "exec $fd>&-"' 2>&1; exec "$@"' - "$MEMOLOCK_BIN" get -q --id x --ttl 1h --report /dev/fd/$fd -- echo x
    equal x "$output"
    run --separate-stderr -0 bash -c "exec $fd>&-"'; exec "$@"' - "$MEMOLOCK_BIN" get --id x --ttl 1h --report /dev/fd/$fd -- echo x
    equal x "$output"
    equal "memolock: cannot write the report /dev/fd/$fd: it is not open" "$stderr"
  done
}
