#!/usr/bin/env bats
# Descriptors and kernel services that are not available: the command still runs, and only once.

load ../helpers/common

# `get` with an id that is unique to the test, since all tests share the machine's own lock, which replaces that of an
# unusable store.
setup() {
  isolate
  use_store
  id=$BATS_TEST_NUMBER-$$-$RANDOM
}

# speaks: asserts the output and status that every run here must have.
speaks() {
  equal 5 "$status"
  equal out "$output"
  equal err "$(grep -v '^memolock: ' <<<"$stderr")"
}

# perl, since a shell needs additional descriptors
command=(perl -e 'print "out\n"; print STDERR "err\n"; exit 5')

# for bash: runs the rest of the line with a limit of so many descriptors, of which only the three streams are open
few='for fd in /proc/$$/fd/*; do fd=${fd##*/}; ((fd < 3)) || exec {fd}>&-; done; ulimit -n "$0"; exec "$@"'

@test "with few descriptors the command runs once, and its status is correct" {
  # a sanitizer needs descriptors of its own
  ! is_sanitized || skip 'built with a sanitizer'
  for n in {9..24}; do
    run --separate-stderr bash -c "$few" "$n" \
      "$MEMOLOCK_BIN" get --tag t --id "$id.$n" --ttl 1h -- "${command[@]}"
    speaks || fail "with $n descriptors: $stderr"
  done
}

@test "with few descriptors lock runs the command under its lock or not at all" {
  ! is_sanitized || skip 'built with a sanitizer'
  # if memolock had become the command, its lock would have been lost
  is_child='exit(readlink("/proc/" . getppid() . "/exe") eq $ARGV[0] ? 5 : 6)'
  for n in {9..24}; do
    run --separate-stderr bash -c "$few" "$n" \
      "$MEMOLOCK_BIN" lock --tag t --id "$id.$n" -- perl -e "$is_child" "$(readlink -f "$MEMOLOCK_BIN")"
    [[ $status == 125 || $status == 5 ]] || fail "with $n descriptors: $status, $stderr"
  done
  equal 5 "$status"
}

# without CALL ERROR [WHEN]: a run with this system call failing.
without() {
  run --separate-stderr strace -qq -o trace -e "trace=$1" -e "inject=$1:error=$2${3+:when=$3}" \
    "$MEMOLOCK_BIN" get --tag t --id "$id.$1.$3" --ttl 1h -- "${command[@]}"
  grep -q INJECTED trace || return 0
  speaks || fail "without $*: $stderr"
}

@test "a kernel that cannot monitor processes, or has no more descriptors, does not prevent a run" {
  strace -o trace -e inject=getppid:error=EPERM true 2>/dev/null || skip 'strace cannot run here'
  without pidfd_open EPERM
  for nth in {1..8}; do without epoll_ctl ENOSPC "$nth"; done
  for nth in {2..3}; do without signalfd4 EMFILE "$nth"; done
}

@test "a warning that cannot be written does not kill the command that memolock becomes" {
  strace -o trace -e inject=getppid:error=EPERM true 2>/dev/null || skip 'strace cannot run here'
  mkfifo gone
  exec {both}<>gone
  exec {gone}>gone {both}>&-
  status=0
  env --default-signal=PIPE strace -qq -o trace -e trace=signalfd4,execve -e inject=signalfd4:error=EMFILE:when=2+ \
    "$MEMOLOCK_BIN" get --store file:///proc/none --id "$id" --ttl 1h -- perl -e 'exit 5' 2>&"$gone" || status=$?
  exec {gone}>&-
  equal 5 "$status"
  grep -q 'execve(.*perl' trace || fail 'it is a child'
}

@test "--max-runtime ends a run in a PID namespace without its own /proc" {
  unshare -pf true 2>/dev/null || skip 'cannot create a namespace here'
  spawn unshare -pf --kill-child "$MEMOLOCK_BIN" get --id x --ttl 1h --max-runtime 200ms -- sleep 60
  await is_gone $!
  finish $!
  equal 124 "$status"
}

@test "if no process can be started, memolock becomes the command, and leaves it no child" {
  strace -o trace -e inject=getppid:error=EPERM true 2>/dev/null || skip 'strace cannot run here'
  run --separate-stderr -5 strace -qq -o trace -e trace=vfork -e inject=vfork:error=EAGAIN "$MEMOLOCK_BIN" get \
    --tag t --id "$id" --ttl 1h -- perl -e 'print wait; exit 5'
  grep -q INJECTED trace || skip 'it is no vfork here'
  equal -1 "$output"
}
