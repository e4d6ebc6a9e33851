#!/usr/bin/env bats
# Processes that a command leaves in the background with its output streams open: how long memolock waits for their
# output, and what happens to later output.

load ../helpers/common

teardown() {
  release h
  end_all
}

# leaves STREAMS SCRIPT: makes a command that prints hi and err, and leaves a helper process behind, whose pid is in
# helper.pid. The helper has only these STREAMS (out, err or both), and runs SCRIPT after `release h`.
leaves() {
  local closed=
  case $1 in
    out) closed='2>/dev/null' ;;
    err) closed='>/dev/null' ;;
  esac
  command=(counted sh -c 'sh -c "echo \$\$ >helper.pid; exec held h sh -c \"\$0\"" "$0" '"$closed"' &
    until [ -e h.started ]; do sleep 0.01; done; echo hi; echo err >&2; exit "${1-0}"' "$2")
}

# ends [OPTION…]: `get` of the command ends while its helper still waits; its streams go to out and err.
ends() {
  status=0
  timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --ttl forever "$@" -- "${command[@]}" >out 2>err || status=$?
  ((status != 124)) || fail 'it waits'
  ! is_gone "$(<helper.pid)" || fail 'the helper has ended'
}

# passers: the processes that pass on late output.
passers() {
  local pid
  for pid in $(pgrep -x memolock); do
    [[ /proc/$pid/exe -ef $MEMOLOCK_BIN ]] && grep -qzFx "RUNS=$RUNS" "/proc/$pid/environ" && echo "$pid"
  done
  return 0
}
nobody_passes() { [[ -z $(passers) ]]; }

# is_passing: whether a process passes on late output and has taken its last step before that. Sets $passer. It inherits
# signalfds too, but has closed those when it changes its directory.
is_passing() {
  passer=$(passers)
  [[ -n $passer && $(readlink "/proc/$passer/cwd") == / && -n $(find "/proc/$passer/fd" -lname '*signalfd*') ]]
}

# stored OUT ERR: asserts that the entry has these streams.
stored() {
  memolock get --tag t --id x >stored.out 2>stored.err
  equal "$1" "$(<stored.out)"
  equal "$2" "$(<stored.err)"
}

# shows TEXT FILE: whether the file contains exactly TEXT.
shows() { [[ $(<"$2") == "$1" ]]; }

@test "a helper that holds only stderr does not delay the run, a command substitution or the release of the lock" {
  leaves err 'echo late >&2'
  equal hi "$(timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --ttl forever -- "${command[@]}" 2>err)"
  ! is_gone "$(<helper.pid)" || fail 'the helper has ended'
  stored hi err
  get --wait 0 --refresh -- true
  ran_times 1
}

@test "late stderr arrives after all messages of memolock, and is not stored" {
  leaves err 'seq 100000 >&2'
  ends -v
  equal 0 "$status"
  contains "$(tail -n 1 err)" 'stored without an expiry'
  cp err want
  seq 100000 >>want
  release h
  await cmp -s want err
  equal hi "$(<out)"
  stored hi err
  await nobody_passes
}

@test "without --drain memolock waits for the end of stdout, and until then stores stderr" {
  # shellcheck disable=SC2016
  command=(bash -c 'echo $$ >command.pid; echo hi > >(held h sh -c "cat >&2; echo end")')
  spawn_get -- "${command[@]}" >out 2>err
  await test -e h.started
  await is_gone "$(<command.pid)"
  # longer than memolock waits for stderr alone
  sleep 0.3
  is_running x
  release h
  finish "${spawned[0]}"
  equal 0 "$status"
  equal end "$(<out)"
  equal hi "$(<err)"
  stored end hi
}

@test "if the command redirects stderr to stdout, memolock waits for the end of both" {
  # shellcheck disable=SC2016
  spawn_get -- sh -c 'echo $$ >command.pid; exec 2>&1; held h echo late & echo hi' >out
  await test -e h.started
  await is_gone "$(<command.pid)"
  is_running x
  await grep -q hi out
  release h
  finish "${spawned[0]}"
  equal $'hi\nlate' "$(<out)"
  stored $'hi\nlate' ''
}

@test "--drain 0 ends with the command, and passes on late output byte for byte" {
  leaves both 'seq 100000; seq 100001 200000 >&2'
  ends --drain 0
  equal 0 "$status"
  stored hi err
  { echo hi && seq 100000; } >want.out
  { echo err && seq 100001 200000; } >want.err
  release h
  await cmp -s want.out out
  await cmp -s want.err err
  await nobody_passes
}

@test "a failed command's status is the status of the call" {
  leaves both 'echo late'
  command+=(3)
  ends --drain 0 --cache-failures 1h
  equal 3 "$status"
  release h
  await shows $'hi\nlate' out
  run -3 memolock get --tag t --id x
}

@test "--drain waits for the given time, and stores what is written by then" {
  leaves both 'echo late'
  ends --drain 300ms
  stored hi err
  release h
  await shows $'hi\nlate' out
  memolock del --tag t --id x
  rm h.*
  spawn_get --drain 1h -- "${command[@]}" >out 2>err
  await shows hi out
  await grep -q hi out
  release h
  finish "${spawned[0]}"
  equal $'hi\nlate' "$(<out)"
  stored $'hi\nlate' err
}

@test "--drain can be set by the variable and the configuration file, to a duration or forever" {
  leaves both true
  MEMOLOCK_DRAIN=0 ends
  equal 0 "$status"
  memolock del --tag t --id x
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  echo 'drain = "0"' >"$XDG_CONFIG_HOME/memolock/config.toml"
  ends
  equal 0 "$status"
  equal fine "$(get --drain forever --refresh -- echo fine)"
  refused --drain memolock get --tag t --id x --ttl 1h --drain soon -- echo text
}

# bats test_tags=slow
@test "with --drain 0 everything that the command itself wrote is stored, and has arrived when memolock ends" {
  seq 30000 >want
  for round in {1..10}; do
    for limit in 1GiB 10; do
      status=0
      memolock get --tag t --id "$round.$limit" --ttl 1h -q --cache-failures 1h --drain 0 --max-entry $limit -- \
        sh -c 'seq 30000; seq 30000 >&2; exit 3' >out 2>err || status=$?
      equal 3 "$status"
      same_bytes want out
      same_bytes want err
    done
    memolock get --tag t --id "$round.1GiB" >out 2>err || true
    same_bytes want out
    same_bytes want err
  done
}

# bats test_tags=slow
@test "a command that leaves no helper behind costs no process" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  for round in {1..20}; do
    for drain in 0 forever; do
      strace -f -qq -o trace -e trace=setsid "$MEMOLOCK_BIN" get --id "$round.$drain" --ttl 1h --drain $drain -- \
        sh -c 'echo hi; echo err >&2' >out 2>err
      equal 0 "$(grep -c setsid trace)"
    done
  done
}

# traced OPTION…: starts `get` of `held a`, which then writes $bytes bytes to each stream, in the background. Its
# children are traced; $caller is its pid.
traced() {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  # shellcheck disable=SC2016
  spawn strace -f -qq -o trace -e trace=setsid "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -q --drain 0 "$@" -- \
    held a sh -c 'echo $$ >command.pid; head -c "$0" /dev/zero; head -c "$0" /dev/zero >&2' "$bytes"
  await test -e a.started
  caller=$(pgrep -P $!)
  also_end "$caller"
}

@test "output that memolock reads only after the command's exit is stored, without a process that passes it on" {
  bytes=60000
  traced >out 2>err
  kill -STOP "$caller"
  is_stopped() { grep -q '^State:[[:space:]]*[Tt]' "/proc/$caller/status"; }
  await is_stopped
  release a
  await test -s command.pid
  await is_gone "$(<command.pid)"
  kill -CONT "$caller"
  finish "${spawned[0]}"
  equal "$bytes $bytes 0" "$(wc -c <out) $(wc -c <err) $(grep -c setsid trace)"
  memolock get --tag t --id x >out 2>err
  equal "$bytes $bytes" "$(wc -c <out) $(wc -c <err)"
}

@test "past --max-entry memolock itself writes out what a stalled reader had not read at the command's exit" {
  # more than the pipe of the test holds, less than both pipes hold
  bytes=110000
  mkfifo pipe
  exec 4<>pipe
  traced --max-entry 1 >pipe 2>/dev/null
  release a
  await test -s command.pid
  await is_gone "$(<command.pid)"
  equal $bytes "$(timeout 60 head -c $bytes <&4 | wc -c)"
  finish "${spawned[0]}"
  equal 0 "$(grep -c setsid trace)"
}

# bats test_tags=slow
@test "a command that exits within --max-runtime is a success, and its helpers are not killed at the limit" {
  leaves both 'echo late'
  ends --max-runtime 8s
  equal 0 "$status"
  ! is_gone "$(<helper.pid)" || fail 'the helper has ended'
  stored hi err
  release h
  await shows $'hi\nlate' out
}

@test "an interrupt during the drain ends the helper, and then the call by the signal, and nothing is stored" {
  # its parent, the command, has ended, and memolock knows
  is_adopted() {
    (($(ps -o ppid= -p "$(<helper.pid)") == spawned[-1])) && ! pgrep -r Z -P "${spawned[-1]}" >/dev/null
  }
  for own_status in 0 3; do
    rm -f h.*
    leaves both 'echo late'
    command+=("$own_status")
    spawn_get -- "${command[@]}" >out 2>err
    await test -e h.started
    await is_adopted
    kill -TERM "${spawned[-1]}"
    finish "${spawned[-1]}"
    equal "$own_status 143" "$own_status $status"
    is_gone "$(<helper.pid)" || fail 'what held stdout is left'
    run -1 memolock get --tag t --id x
    store_is_clean
  done
}

@test "the process that passes on output holds only its pipe and destination, no directory, and survives signals" {
  leaves err 'echo late >&2'
  # large buffers, which must be freed
  command=(sh -c 'seq 200000 >&2; seq 200000; exec "$@"' sh "${command[@]}")
  ends
  await is_passing
  equal 2 "$(find "/proc/$passer/fd" -type l ! -lname '*signalfd*' | wc -l)"
  equal "$PWD/err" "$(readlink "/proc/$passer/fd/2")"
  equal / "$(readlink "/proc/$passer/cwd")"
  equal "$passer" "$(ps -o sid= -p "$passer" | tr -d ' ')"
  (($(awk '/^RssAnon/ { print $2 }' "/proc/$passer/status") < 512)) || is_sanitized
  kill -INT "$passer"
  kill -HUP "$passer"
  kill -TERM "$passer"
  release h
  ends_late() { [[ $(tail -n 1 err) == late ]]; }
  await ends_late
  await is_gone "$passer"
}

@test "when the reader leaves, the process that passes on output ends, and the helper gets SIGPIPE" {
  leaves out 'echo late; echo "still there" >survived'
  mkfifo pipe
  exec 4<>pipe
  timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --drain 0 -- "${command[@]}" >pipe 2>err 4<&-
  await is_passing
  exec 4<&-
  await is_gone "$passer"
  release h
  await is_gone "$(<helper.pid)"
  [[ ! -e survived ]]
}

@test "after TERM late output is passed on only while its reader reads" {
  leaves both 'echo late >&2; head -c 300000 /dev/zero'
  mkfifo pipe
  exec 4<>pipe
  timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --drain 0 -- "${command[@]}" >pipe 2>err
  await is_passing
  kill -TERM "$passer"
  release h
  await is_gone "$(<helper.pid)"
  await is_gone "$passer"
  shows $'err\nlate' err
}

@test "a stalled reader of late output on one stream does not block the other" {
  leaves both 'head -c 300000 /dev/zero & echo late >&2'
  mkfifo pipe
  exec 4<>pipe
  timeout 60 "$MEMOLOCK_BIN" get --tag t --id x --ttl forever --drain 0 -- "${command[@]}" >pipe 2>err
  release h
  await shows $'err\nlate' err
  equal 300003 "$(timeout 60 head -c 300003 <&4 | wc -c)"
  await nobody_passes
}

@test "past --max-entry the call ends in time too, and all output arrives in order" {
  leaves both 'seq 100000; seq 100001 200000 >&2'
  { echo hi && seq 100000; } >want.out
  { echo err && seq 100001 200000; } >want.err
  ends -q --drain 0 --max-entry 1
  equal 0 "$status"
  release h
  await cmp -s want.out out
  await cmp -s want.err err
  # and memolock waits for stdout, but not for stderr
  rm h.*
  leaves err 'echo late >&2'
  ends -q --max-entry 1
  equal 0 "$status"
  release h
  await shows $'err\nlate' err
}

@test "a stalled reader of stdout delays neither the entry nor the lock, nor any late output" {
  leaves err 'echo late >&2'
  mkfifo pipe
  exec 4<>pipe
  spawn_get -- sh -c 'seq 200000; exec "$@"' sh "${command[@]}" >pipe 2>err
  { seq 200000 && echo hi; } >want
  is_stored() { memolock get --tag t --id x >stored 2>/dev/null; }
  await is_stored
  same_bytes want stored
  # the lock is released a moment later
  await get --wait 0 --refresh -- true
  release h
  timeout 60 head -c "$(wc -c <want)" <&4 >got
  same_bytes want got
  finish "${spawned[0]}"
  equal 0 "$status"
  await shows $'err\nlate' err
}

@test "if an older entry replaces a failure, late stdout is discarded, and its writer is not killed" {
  get -- echo old
  leaves both 'echo late; echo $? >wrote; echo late >&2'
  command+=(3)
  ends -q --drain 0 --ttl 1ms --stale-if-error 1h
  equal 0 "$status"
  equal old "$(<out)"
  release h
  await shows $'err\nlate' err
  equal 0 "$(<wrote)"
  equal old "$(<out)"
}

@test "a background run ends with its command too" {
  get --ttl 1ms --stale 1h -- echo old
  leaves err 'echo late >&2; echo $? >wrote'
  equal old "$(get --ttl 1h --stale 1h -- "${command[@]}")"
  is_fresh() { [[ $(memolock ls | cut -f 3) == fresh ]]; }
  await is_fresh
  ! is_gone "$(<helper.pid)" || fail 'the helper has ended'
  equal hi "$(memolock get --tag t --id x 2>/dev/null)"
  release h
  await test -s wrote
  equal 0 "$(<wrote)"
}

@test "if no process can be started, memolock itself passes on output, after storing the entry and releasing the lock" {
  ! is_sanitized || skip 'built with a sanitizer'
  leaves both 'echo late; echo late >&2'
  command+=(3)
  spawn "$HELPERS/old_kernel" "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --cache-failures 1h --drain 0 -- \
    "${command[@]}" >out 2>err
  is_stored() { memolock ls | grep -q failed; }
  await is_stored
  # the lock is released a moment later
  await get --wait 0 --refresh -- true
  is_gone "${spawned[0]}" && fail 'it has ended'
  release h
  finish "${spawned[0]}"
  equal 3 "$status"
  equal $'hi\nlate' "$(<out)"
  equal $'err\nlate' "$(<err)"
}

@test "if no process can be started, an interrupted caller whose reader stalls still ends" {
  ! is_sanitized || skip 'built with a sanitizer'
  leaves err true
  mkfifo pipe
  exec 4<>pipe
  spawn "$HELPERS/old_kernel" "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- \
    sh -c 'seq 200000; exec "$@"' sh "${command[@]}" >pipe 2>err
  is_stored() { memolock get --tag t --id x >stored 2>/dev/null; }
  await is_stored
  kill -TERM "${spawned[0]}"
  await is_gone "${spawned[0]}"
  finish "${spawned[0]}"
  equal 143 "$status"
}

@test "late output to a terminal that has hung up is discarded, and its writer is not killed" {
  leaves err 'for i in 1 2 3; do echo late >&2; done; echo "$?" >survived'
  python3 -c 'import os, subprocess, sys
keeper, terminal = os.openpty()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=terminal)' \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl forever -- "${command[@]}"
  release h
  await test -e survived
}
