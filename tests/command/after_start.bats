#!/usr/bin/env bats
# Once the command has started, its output reaches the caller once and its exit status is memolock's, whatever fails.

load ../helpers/common

setup() {
  isolate
  use_store
  ids=0
}

# What every run here must produce.
size=70000
work='echo run >>"$RUNS"; sleep 0.03; echo err >&2; head -c '$size' /dev/zero; exit 5'

# asks VERB: sets `caller` to a call of this verb with a new id.
asks() {
  caller=("$MEMOLOCK_BIN" "$1" --tag t --id "x$$.$((++ids))")
  [[ $1 == lock ]] || caller+=(--ttl 1h)
  [[ $1 != once ]] || caller+=(--store "${MEMOLOCK_STORE-local}")
  caller+=(-- sh -c "read -r line; echo \"\$line\" >line; $work")
}

# under WORD…: runs `caller` with these words before it.
under() {
  : >"$RUNS"
  : >line
  status=0
  timeout -k 1 30 "$@" "${caller[@]}" >out 2>err <<<'what stdin holds' || status=$?
}

# was_well WHAT: asserts one run with its input, output and status; sets `said` to the messages of memolock.
was_well() {
  equal "$1: 1 runs, 5" "$1: $(runs) runs, $status"
  equal "$1: what stdin holds" "$1: $(<line)"
  head -c $size /dev/zero | cmp - out || fail "$1: the output differs"
  said=$(grep '^memolock: ' err) || said=
  equal "$1: err" "$1: $(grep -v '^memolock: ' err)"
}

can_trace() {
  strace -f -b execve -o trace true 2>/dev/null || skip 'strace cannot run here'
  # a sanitizer makes system calls of its own and does not survive each failure
  ! is_sanitized || skip 'built with a sanitizer'
}

# Does not trace the command, which is another program after its exec.
traced=(strace -f -b execve -qq -o trace)

# calls_made: prints "CALL N" for each system call in the trace that memolock and its threads made after the start of
# the command, the Nth of its kind, except those that a library needs (futex, getppid) and those that end it.
calls_made() {
  awk '
    NR == 1 { memolock = $1 }
    / <\.\.\. .* resumed>|\+\+\+|---/ { next }
    {
      call = substr($2, 1, index($2, "(") - 1)
      n = ++count[$1, call]
      if ($1 == memolock && call == "vfork") started = 1
      else if (started && call !~ /^(exit|exit_group|execve|futex|getppid|rt_sigreturn)$/ && !seen[call, n]++)
        print call, n
    }' trace
}

# On a server, a lock whose release failed is held for another lease.
nothing_is_held() { on_redis || [[ $(memolock ls) != *running* ]]; }

# survives VERB ERROR…: makes each such system call of the verb fail with each of the errors, in a run of its own.
survives() {
  local call n error
  asks "$1"
  under "${traced[@]}"
  was_well "$1"
  calls_made >calls
  (($(wc -l <calls) > 20)) || fail "only these calls: $(<calls)"
  injected=0
  while read -r call n; do
    for error in "${@:2}"; do
      asks "$1"
      under "${traced[@]}" -e "trace=$call" -e "inject=$call:error=$error:when=$n"
      was_well "$1, $call $n: $error"
      ! grep -q INJECTED trace || injected=$((injected + 1))
    done
  done <calls
  ((injected > 20)) || fail "only $injected calls failed"
  await nothing_is_held
}

# bats test_tags=slow
@test "a system call of get that fails after the command has started changes neither output nor status" {
  can_trace
  # on a server the calls that are not specific to it are the same
  if on_redis; then survives get EIO; else survives get EIO ENOMEM EAGAIN; fi
}

# bats test_tags=slow
@test "a system call of once or lock that fails after the command has started changes neither output nor status" {
  can_trace
  survives once EIO ENOMEM
  survives lock EIO ENOMEM
}

@test "if the kernel cannot wait for events, the command does not run again" {
  can_trace
  for error in ENOMEM EIO; do
    asks get
    under strace -qq -o trace -e trace=ppoll,epoll_wait -e "inject=ppoll,epoll_wait:error=$error:when=1+"
    was_well "$error"
  done
}

@test "if another process has collected the command's status, memolock exits with 125 and stores nothing" {
  can_trace
  for verb in get once lock; do
    asks $verb
    under strace -qq -o trace -e trace=wait4 -e inject=wait4:error=ECHILD:when=1+
    equal "$verb: 1 runs, 125" "$verb: $(runs) runs, $status"
    head -c $size /dev/zero | cmp - out
    contains "$(<err)" 'the exit status of the command is unknown'
  done
  asks get
  under strace -qq -o trace -e trace=wait4 -e inject=wait4:error=ECHILD:when=1+
  run -1 memolock get --tag t --id "x$$.$ids" --cache-failures 1h
  nothing_is_held
}

@test "output that could not be read for a moment reaches the caller and is not stored" {
  can_trace
  asks get
  under strace -qq -o trace -e trace=read,vfork
  # the next read after the start reads output
  n=$(awk '/^vfork\(/ { print n + 1; exit } /^read\(/ { n++ }' trace)
  for error in EIO ENOMEM; do
    asks get
    under strace -qq -o trace -e trace=read -e "inject=read:error=$error:when=$n"
    was_well "$error"
    one_own_line "$said"
    contains "$said" "not stored: cannot read the command's output: "
    run -1 memolock get --tag t --id "x$$.$ids" --cache-failures 1h
  done
}

@test "output that cannot be read at all is lost and not stored, and the call ends with the command" {
  can_trace
  asks get
  under strace -qq -o trace -e trace=read -e 'inject=read:error=EIO:when=1+'
  equal '1 runs, 5' "$(runs) runs, $status"
  contains "$(<err)" "not stored: cannot read the command's output: "
}

# bats test_tags=slow
@test "memory that runs out after the command has started changes neither output nor status" {
  ! is_sanitized || skip 'a sanitizer needs memory of its own'
  prlimit --version >/dev/null || skip 'there is no prlimit'
  size=6500000
  work='echo run >>"$RUNS"; prlimit --pid $PPID --as=1:1; echo err >&2; head -c 6500000 /dev/zero; sleep 0.1; exit 5'
  for verb in get once lock; do
    asks $verb
    under
    was_well $verb
  done
  asks get
  caller=("$MEMOLOCK_BIN" get --max-entry 1MiB --report report "${caller[@]:2}")
  under
  was_well '--max-entry'
  contains "$said" 'not stored: the output is larger than --max-entry'
}

# bats test_tags=slow
@test "with barely enough memory to start memolock, the command runs once and its output is complete" {
  ! is_sanitized || skip 'a sanitizer needs memory of its own'
  ! on_redis || skip 'memory is memory'
  size=6500000
  work='echo run >>"$RUNS"; echo err >&2; head -c 6500000 /dev/zero; exit 5'
  # the least memory with which the kernel executes it
  for ((least = 1024; least < 65536; least += 32)); do
    (ulimit -v $least && exec "$MEMOLOCK_BIN" --version) >/dev/null 2>&1 && break
  done
  (ulimit -v $least && sh -c 'head -c 1 /dev/zero') >/dev/null 2>&1 || skip 'the commands need more memory'
  for ((memory = least; memory < least + 700; memory += 16)); do
    asks get
    under bash -c 'ulimit -v "$0" && exec "$@"' $memory
    was_well "$memory KiB"
  done
}
