#!/usr/bin/env bats
# Readers that stall or exit early, and streams that are closed or full.

load ../helpers/common

# stalled COMMAND…: `get` whose stdout is a pipe that is not read until later, through descriptor 4.
stalled() {
  mkfifo pipe
  exec 4<>pipe
  spawn_get -- "$@" >pipe
  caller=$!
}

is_stored() { memolock get --tag t --id x >stored; }
has_ended() { ! is_running x; }

@test "a stalled reader delays neither the command, nor the entry, nor the release of the lock" {
  seq 200000 >want
  stalled counted sh -c 'seq 200000; : >ended'
  await test -e ended
  await is_stored
  same_bytes want stored
  # the lock is released a moment later
  await has_ended
  await get --wait 0 --refresh -- true
  ran_times 1
  kill -0 $caller
  timeout 60 head -c "$(wc -c <want)" <&4 >got
  same_bytes want got
  finish_all
}

@test "waiters of a holder whose reader stalls get the output immediately" {
  seq 200000 >want
  stalled counted held a seq 200000
  await test -e a.started
  spawn_get -- counted true >waiter.out
  await is_waiting $!
  release a
  finish "${spawned[1]}"
  equal 0 "$status"
  same_bytes want waiter.out
  ran_times 1
}

# has_read_all PID: whether the process has read all that a server has sent to it.
has_read_all() {
  local inode
  for inode in $(sockets "$1"); do
    ss -xH | awk -v inode="$inode" '$6 == inode { unread += $3 } END { exit unread > 0 }' || return 1
  done
}

@test "a signal ends a miss whose reader stalls" {
  stalled seq 200000
  await is_stored
  # until it knows that, a signal would withdraw the entry
  await has_read_all $caller
  kill -TERM $caller
  finish $caller
  equal 143 "$status"
  is_stored
}

@test "a signal ends a hit whose reader stalls" {
  get -- seq 200000 >/dev/null
  stalled false
  is_writing() { grep -q pipe "/proc/$caller/wchan"; }
  await is_writing
  kill -TERM $caller
  finish $caller
  equal 143 "$status"
}

# bats test_tags=slow
@test "past --max-entry, one signal or --max-runtime ends a call whose reader stalls" {
  mkfifo pipe other
  exec 4<>pipe 5<>other
  spawn "$MEMOLOCK_BIN" get --id x --ttl 1h --max-entry 10 -- seq 200000 >pipe 2>err
  caller=$!
  spawn "$MEMOLOCK_BIN" get --id y --ttl 1h --max-entry 10 --max-runtime 500ms -- seq 200000 >other 2>err
  limited=$!
  is_relaying() { grep -q pipe "/proc/$caller/task"/*/wchan; }
  await is_relaying
  kill -TERM $caller
  await is_gone $caller
  finish $caller
  equal 143 "$status"
  await is_gone $limited
  finish $limited
  equal 124 "$status"
}

@test "if no thread can be started, a stalled reader delays neither the command nor a signal" {
  ! is_sanitized || skip 'a sanitizer needs memory of its own'
  mkfifo pipe
  exec 4<>pipe
  seq 200000 >want
  # shellcheck disable=SC2016
  alone=(bash -c 'ulimit -v 9600 && exec "$@"' - "$MEMOLOCK_BIN" get --tag t --ttl 1h)
  spawn "${alone[@]}" --id x -- sh -c 'seq 200000; : >ended' >pipe
  caller=$!
  await test -e ended
  await is_stored
  same_bytes want stored
  equal 1 "$(find /proc/$caller/task -mindepth 1 -maxdepth 1 | wc -l)"
  kill -TERM $caller
  await is_gone $caller
  finish $caller
  equal 143 "$status"
  # past --max-entry output is written at the reader's pace, and the command waits too
  spawn "${alone[@]}" --id y --max-entry 10 --max-runtime 8s -- sh -c 'echo $$ >command.pid; seq 200000' >pipe 2>err
  caller=$!
  await is_gone $caller
  finish $caller
  equal 124 "$status"
  is_gone "$(<command.pid)"
}

@test "if no thread can be started, both streams are written completely, also past --max-entry" {
  ! is_sanitized || skip 'a sanitizer needs memory of its own'
  seq 200000 >want
  for most in 1GiB 10; do
    # shellcheck disable=SC2016
    run -3 bash -o pipefail -c 'ulimit -v 9600 && "$@" 2>err | cat >out' - \
      "$MEMOLOCK_BIN" get --id x --ttl 1h -q --max-entry $most -- sh -c 'seq 200000 | tee /dev/stderr; exit 3'
    same_bytes want out
    same_bytes want err
  done
}

@test "a stalled reader of stderr does not delay the release of the lock, even if there is a warning" {
  mkfifo pipe
  exec 4<>pipe
  spawn_get -- sh -c 'head -c 200000 /dev/zero >&2; echo bogus >>"$MEMOLOCK_CONTROL"; : >ended' 2>pipe
  caller=$!
  await test -e ended
  await has_ended
  # the lock is released a moment later
  await eval '[[ $(get --wait 0 -- echo next) == next ]]'
  kill -TERM $caller
  finish $caller
  equal 143 "$status"
}

# piped OPTION…: `get` whose stdout and stderr are pipes that are read through descriptors 4 and 5.
piped() {
  [[ -p out ]] || mkfifo out err
  exec 4<>out 5<>err
  spawn_get "$@" >out 2>err
  caller=$!
}

# reads_apart SMALL LARGE [LATER]: reads a line from the first descriptor, 300000 bytes from the second and as many
# from the third, and waits for the caller to end.
reads_apart() {
  local line=
  read -r -t 20 line <&"$1" || true
  equal "a line" "$line"
  equal 300000 "$(timeout 60 head -c 300000 <&"$2" | wc -c)"
  [[ -z ${3-} ]] || equal 300000 "$(timeout 60 head -c 300000 <&"$3" | wc -c)"
  finish $caller
  equal 0 "$status"
}

large_out=(sh -c 'head -c 300000 /dev/zero; echo a line >&2')
large_err=(sh -c 'head -c 300000 /dev/zero >&2; echo a line')
large_both=(sh -c 'head -c 300000 /dev/zero; echo a line >&2; head -c 300000 /dev/zero >&2')

@test "a line of stderr can be read before a large stdout, on a miss and a hit" {
  piped -- "${large_out[@]}"
  reads_apart 5 4
  piped -- false
  reads_apart 5 4
}

@test "a line of stdout can be read before a large stderr, on a miss and a hit" {
  piped -- "${large_err[@]}"
  reads_apart 4 5
  piped -- false
  reads_apart 4 5
}

@test "a line of stderr can be read before all of stdout and the rest of stderr, on a miss and a hit" {
  piped -- "${large_both[@]}"
  reads_apart 5 4 5
  piped -- false
  reads_apart 5 4 5
}

@test "a line of stderr can be read before a large stdout by a waiter" {
  spawn_get -- held a "${large_out[@]}" >/dev/null 2>&1
  await test -e a.started
  piped -- false
  await is_waiting $caller
  release a
  reads_apart 5 4
}

@test "a line of stderr can be read before a large stdout of an entry that is stale, or served after a failure" {
  get -- "${large_out[@]}" >/dev/null 2>&1
  piped --ttl 1ms --stale 1h -- counted "${large_out[@]}"
  reads_apart 5 4
  await ran 1
  await has_ended
  get --refresh -- "${large_out[@]}" >/dev/null 2>&1
  piped --ttl 1ms --stale-if-error 1h -q -- sh -c 'echo a line >&2; head -c 300000 /dev/zero >&2; exit 3'
  reads_apart 5 4 5
}

@test "while the reader of one stream stalls, a hit still writes the other stream completely" {
  get -- "${large_both[@]}" >/dev/null 2>&1
  piped -- false
  equal 300000 "$(timeout 60 head -c 300000 <&4 | tr -d -c '\0' | wc -c)"
  kill -0 $caller
  kill -TERM $caller
  finish $caller
  equal 143 "$status"
  rm out err
  piped -- false
  timeout 60 head -c 300007 <&5 >got
  equal 'a line' "$(head -c 7 got)"
  equal 300000 "$(tail -c 300000 got | tr -d -c '\0' | wc -c)"
  kill -TERM $caller
  finish $caller
  equal 143 "$status"
}

@test "with one free page in the pipe of stderr, a hit writes stdout completely" {
  get -- sh -c 'head -c 300001 /dev/zero; head -c 4096 /dev/zero >&2' >/dev/null 2>&1
  mkfifo out err
  exec 5<>err
  head -c 61440 /dev/zero >&5
  piped -- false
  equal 300001 "$(timeout 60 head -c 300001 <&4 | wc -c)"
  equal 65536 "$(timeout 60 head -c 65536 <&5 | wc -c)"
  finish $caller
  equal 0 "$status"
}

@test "streams that share a pipe with a stalled reader are not mixed if an older entry is served after a failure" {
  get -- sh -c 'head -c 3000000 /dev/zero | tr "\0" O' >/dev/null
  mkfifo pipe
  exec 4<>pipe
  spawn_get --ttl 1ms --stale-if-error 1h -q -- \
    counted sh -c 'head -c 3000000 /dev/zero | tr "\0" E >&2; exit 3' >pipe 2>&1
  caller=$!
  has_ended() { [[ $(runs) == 1 ]] && ! is_running x; }
  await has_ended
  equal EO "$(timeout 60 head -c 6000000 <&4 | tr -s EO)"
  finish $caller
  equal 0 "$status"
}

@test "with a small stack a large output can be appended to a file and, past --max-entry, written to a pipe" {
  ! is_sanitized || skip 'a sanitizer needs a stack of its own'
  small_stack() { (ulimit -s "$1" && exec "$MEMOLOCK_BIN" get --id "$1" --ttl 1h "${@:2}"); }
  for stack in 64 96 128; do
    : >appended
    status=0
    small_stack $stack -- sh -c 'head -c 3000000 /dev/zero; exit 3' >>appended || status=$?
    equal "$stack: 3, 3000000" "$stack: $status, $(wc -c <appended)"
    small_stack $stack --max-entry 10 -- head -c 3000000 /dev/zero | cat >passed
    equal "$stack: 3000000" "$stack: $(wc -c <passed)"
  done
}

@test "on a hit, streams that share a pipe or a file come one after the other" {
  get -- "${large_both[@]}" >/dev/null 2>&1
  run -0 bash -c '"$0" get --tag t --id x 2>&1 | head -c 300007 | tail -c 7' "$MEMOLOCK_BIN"
  equal 'a line' "$output"
  memolock get --tag t --id x >both 2>&1
  equal 'a line' "$(head -c 300007 both | tail -c 7)"
}

@test "a reader that exits early does not end the run" {
  seq 50000 >want
  status=0
  {
    get -- sh -c 'echo 1; exec held a seq 2 50000' || status=$?
    echo "$status" >status
  } | {
    head -n 1
    release a
  } >head.out
  equal 1 "$(<head.out)"
  equal 0 "$(<status)"
  is_stored
  same_bytes want stored
}

@test "it is not an error if the reader of a hit exits early" {
  get -- seq 200000 >/dev/null
  run -0 bash -c '"$0" get --tag t --id x 2>err | head -n 1; echo "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  equal $'1\n0' "$output"
  is_empty err
}

@test "it is not an error if the reader of another verb's output exits early" {
  get -- true
  for verb in ls 'ls --json' 'show --tag t --id x' stats gc doctor 'key --id x' 'key -v --id x' 'del --id nothing' \
    'completion bash' 'completion zsh' --help 'get --help' --version; do
    # there is no reader from the start
    run -0 bash -c 'mkfifo gone; exec 3<>gone 4>gone 3>&-; rm gone; "$0" '"$verb"' >&4 2>err; echo $?' "$MEMOLOCK_BIN"
    equal "$verb: 0" "$verb: $output"
    # the other messages of these two are not about their reader
    [[ $verb == 'key -v'* || $verb == gc ]] || is_empty err
    lacks "$(<err)" write
  done
}

@test "it is not an error if a socket is closed with bytes unread" {
  # perl gives memolock one end of a connection for stdout, and resets it after the first byte
  for round in miss hit; do
    run -0 --separate-stderr perl -MIO::Socket::INET -e '
      my $door = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
      our $ours = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $door->sockport) or die;
      my $its = $door->accept or die;
      defined(our $pid = fork) or die;
      if (!$pid) { close $ours; close $door; open(STDOUT, ">&", $its); close $its; exec @ARGV }
      close $its;
      sysread($ours, our $byte, 1);
      close $ours;
      waitpid($pid, 0);
      print $?' "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- seq 2000000
    equal "$round: 0" "$round: $output"
    equal '' "$stderr"
  done
}

@test "stderr is still passed on when the reader of stdout has exited" {
  bash -c '"$0" get --tag t --id x --ttl 1h -- sh -c "seq 100000; sleep 0.05; seq 100000; echo last >&2" 2>err | head -n 1' "$MEMOLOCK_BIN"
  equal last "$(<err)"
}

@test "the status of a failed command is passed on when the reader has exited" {
  run bash -c '"$0" get --tag t --id x --ttl 1h -- sh -c "seq 100000; exit 3" | head -n 1; echo "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  equal $'1\n3' "$output"
}

@test "with stdout closed the entry is stored and the lost output is reported" {
  status=0
  get -- echo text >&- 2>err || status=$?
  equal 125 "$status"
  one_own_line "$(<err)"
  equal text "$(memolock get --tag t --id x)"
}

@test "with stdout closed a command without output succeeds" {
  get -- true >&-
  get -- true >&-
}

@test "with stderr closed stdout is not affected" {
  equal out "$(get -- sh -c 'echo out; echo err >&2' 2>&- || true)"
  equal out "$(memolock get --tag t --id x 2>/dev/null)"
}

@test "with all streams closed the entry is intact" {
  get -- sh -c 'echo out; echo err >&2' <&- >&- 2>&- || true
  memolock get --tag t --id x >out 2>err
  equal out "$(<out)"
  equal err "$(<err)"
}

@test "with stdin closed the command behaves as without memolock" {
  direct=0
  cat <&- 2>/dev/null || direct=$?
  status=0
  get -- cat <&- 2>/dev/null || status=$?
  equal "$direct" "$status"
  memolock get --tag t --id y --ttl 1h -- echo fine <&- >out
  equal fine "$(<out)"
}

@test "a full device as stdout is reported, and the entry is stored" {
  status=0
  get -- echo text >/dev/full 2>err || status=$?
  equal 125 "$status"
  one_own_line "$(<err)"
  equal text "$(memolock get --tag t --id x)"
  status=0
  memolock get --tag t --id x >/dev/full 2>err || status=$?
  equal 125 "$status"
  one_own_line "$(<err)"
}

@test "all output is written to a non-blocking stdout" {
  mkfifo pipe
  seq 200000 >want
  exec 4<>pipe
  # perl sets O_NONBLOCK on the open file that memolock then writes to
  spawn perl -MFcntl -e 'fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK); exec @ARGV' \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- seq 200000 >pipe
  timeout 60 head -c "$(wc -c <want)" <&4 >got
  same_bytes want got
  finish_all
}
