#!/usr/bin/env bats
# Processes that the caller's shell had started before it became memolock with exec: the earlier processes.

load ../helpers/common

setup() {
  isolate
  use_store
  short_lease
  # a shell with a child and a grandchild, which loses its parent when a file `orphan` exists; it is not in the session
  # of a terminal, since the end of the terminal would end it
  cat >caller <<'END'
(setsid sh -c 'echo $$ >earlier.pid; exec sleep 60' &
  for ((turns = 0; turns < 6000; ++turns)); do [[ -e orphan ]] && exit; sleep 0.01; done) &
echo $! >parent.pid
echo $$ >caller.pid
until [[ -s earlier.pid ]]; do sleep 0.01; done
exec "$@"
END
}

teardown() {
  [[ ! -e earlier.pid ]] || kill "$(<earlier.pid)" 2>/dev/null || true
  [[ ! -e parent.pid ]] || orphan
  end_all
}

# A command with an orphan in another session.
family='(setsid sh -c "echo \$\$ >far.pid; exec sleep 60" >/dev/null 2>&1 &); echo $$ >command.pid; until [ -s far.pid ]; do sleep 0.01; done'

# spawn_caller OPTION… -- COMMAND…: starts that shell, which becomes `get`.
spawn_caller() {
  rm -f orphan ./*.pid
  spawn bash caller "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h "$@"
  caller=$!
}

# orphan: makes the grandchild lose its parent.
orphan() {
  : >orphan
  await is_gone "$(<parent.pid)"
}

# hold OPTION…: starts a holder, and then makes the grandchild lose its parent.
hold() {
  spawn_caller "$@" -- sh -c "$family; exec sleep 60"
  await test -s far.pid
  await test -s command.pid
  orphan
}

# only_the_command_is_gone: asserts that the command and its orphan have ended, and the earlier process has not.
only_the_command_is_gone() {
  await is_gone "$(<command.pid)"
  await is_gone "$(<far.pid)"
  ! is_gone "$(<earlier.pid)" || fail 'what had been started before was ended'
  kill "$(<earlier.pid)"
}

@test "a signal ends the command and its orphans, but not earlier processes" {
  for signal in INT TERM HUP QUIT; do
    hold
    kill -$signal $caller
    finish $caller
    equal "$signal $((128 + $(kill -l $signal)))" "$signal $status"
    only_the_command_is_gone
  done
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "a signal to the caller's whole process group reaches the command once" {
  spawn_caller -- bash -c 'trap "echo term >>terms" TERM; : >ready; until [[ -e go ]]; do sleep 0.01; done; exit 5'
  await test -e ready
  kill -TERM -- -$caller
  await test -s terms
  : >go
  finish $caller
  equal 5 "$status"
  equal 1 "$(wc -l <terms)"
}

@test "--max-runtime does not affect earlier processes" {
  spawn_caller --max-runtime 6s -- sh -c "$family; : >orphan; exec sleep 60"
  finish $caller
  equal 124 "$status"
  only_the_command_is_gone
}

@test "a lost lease does not affect earlier processes" {
  on_redis || skip 'there is no lease'
  hold --lease 5s --on-lost-lease kill
  redis set t/lock:x other px 60000 >/dev/null
  finish $caller
  equal 143 "$status"
  only_the_command_is_gone
}

@test "a command that ends by itself does not affect earlier processes, and its status is memolock's" {
  spawn_caller -- sh -c ': >orphan; echo out; exit 9' >out
  finish $caller
  equal 9 "$status"
  equal out "$(<out)"
  ! is_gone "$(<earlier.pid)" || fail 'it was ended'
}

@test "when memolock is killed, its command is killed too, but not earlier processes" {
  spawn_caller -- sh -c 'echo $$ >command.pid; sh -c "echo \$\$ >far.pid; exec sleep 60"; true'
  await test -s far.pid
  orphan
  kill -KILL $caller
  finish $caller
  equal 137 "$status"
  only_the_command_is_gone
  ! on_redis || await nobody_holds
  equal mine "$(memolock get --tag t --id x --ttl 1h --wait 1m -- echo mine)"
}

@test "any other end of memolock ends its command too, but not earlier processes" {
  spawn_caller -- sh -c 'echo $$ >command.pid; sh -c "echo \$\$ >far.pid; exec sleep 60"; true'
  await test -s far.pid
  orphan
  kill -USR1 $caller
  finish $caller
  equal 138 "$status"
  only_the_command_is_gone
}

@test "memolock ends by the signal that killed the command, despite earlier processes" {
  spawn perl -e 'system @ARGV; print $? & 127' \
    bash caller "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- sh -c 'echo $$ >command.pid; exec sleep 60' >ended.by
  await test -s command.pid
  kill -INT "$(<caller.pid)"
  finish $!
  equal 2 "$(<ended.by)"
}

@test "once, lock and a bypassed memolock do not affect earlier processes" {
  for verb in once lock get; do
    rm -f orphan ./*.pid
    verb_options=()
    [[ $verb != once ]] || verb_options=(--ttl 1h --store "${MEMOLOCK_STORE-local}")
    [[ $verb == get ]] && bypass=1 || bypass=0
    MEMOLOCK_BYPASS=$bypass spawn bash caller "$MEMOLOCK_BIN" $verb --tag t --id y "${verb_options[@]}" -- \
      sh -c "$family; exec sleep 60"
    caller=$!
    await test -s far.pid
    await test -s command.pid
    orphan
    kill -TERM $caller
    finish $caller
    equal "$verb 143" "$verb $status"
    only_the_command_is_gone
  done
}

@test "without other children, or if they have ended, memolock keeps its process id" {
  run -0 bash -c 'echo $$; exec "$0" get --tag t --id x --ttl 1h -- sh -c "echo \$PPID"' "$MEMOLOCK_BIN"
  equal 1 "$(sort -u <<<"$output" | wc -l)"
  # a zombie child
  cat >zombie <<'END'
my $child = fork // die;
exit if !$child;
1 until `ps -o stat= -p $child` =~ /^Z/;
$| = 1;
print "$$\n";
exec @ARGV;
END
  run -0 perl zombie "$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- sh -c 'echo $PPID'
  equal 1 "$(sort -u <<<"$output" | wc -l)"
}

@test "children are reaped where SIGCHLD is ignored" {
  # a shell would not continue to ignore it
  cat >ignoring <<'END'
$SIG{CHLD} = 'IGNORE';
my $child = fork // die;
exec 'sleep 60 >/dev/null 2>&1' if !$child;
open my $file, '>', 'earlier.pid' or die;
print $file $child;
close $file;
exec @ARGV;
END
  run -2 perl ignoring "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- grep -sh ^SigIgn: /proc/self/status missing 3>&-
  equal "$(env --ignore-signal=CHLD grep ^SigIgn: /proc/self/status)" "$output"
}

@test "if no other process can be started, memolock becomes the command, and a hit needs no process" {
  strace -D -o trace -e inject=getppid:error=EPERM true 2>/dev/null || skip 'strace cannot run here'
  ! is_sanitized || skip 'built with a sanitizer'
  # -D: it is not the parent of what it traces
  scarce=(strace -D -qq -o trace -e trace=clone -e inject=clone:error=EAGAIN "$MEMOLOCK_BIN" get --tag t --ttl 1h)
  spawn bash caller "${scarce[@]}" --id x -- sh -c 'echo $$; exit 9' >out 2>err
  finish $!
  equal 9 "$status"
  equal "$(<caller.pid)" "$(<out)"
  contains "$(<err)" 'cannot start a process'
  ! is_gone "$(<earlier.pid)" || fail 'it was ended'
  kill "$(<earlier.pid)"
  orphan
  rm orphan ./*.pid
  get --id y -- echo hit
  spawn bash caller "${scarce[@]}" --id y -- false >out 2>err
  finish $!
  equal 0 "$status"
  equal hit "$(<out)"
  is_empty err
  grep -q INJECTED trace
}

# ---- on a terminal ----

@test "Ctrl-C on a terminal reaches the command once, and no earlier process" {
  cat >work <<'END'
trap "echo int >>ints" INT
(setsid sh -c 'echo $$ >far.pid; exec sleep 60' &)
until [[ -s far.pid ]]; do sleep 0.01; done
echo $$ >command.pid
until [[ -e go ]]; do sleep 0.01; done
exit 5
END
  at_terminal "bash caller $MEMOLOCK_BIN get --tag t --id x --ttl 1h -- bash work"
  await test -s command.pid
  orphan
  printf '\003' >&8
  await test -s ints
  : >go
  finish "$terminal"
  equal 5 "$status"
  equal 1 "$(wc -l <ints)"
  only_the_command_is_gone
  store_is_clean
}

@test "Ctrl-C on a terminal ends memolock by INT, despite earlier processes" {
  at_terminal "bash caller $MEMOLOCK_BIN get --tag t --id x --ttl 1h -- sh -c '$family; exec sleep 60'"
  await test -s far.pid
  await test -s command.pid
  orphan
  printf '\003' >&8
  finish "$terminal"
  equal 130 "$status"
  only_the_command_is_gone
}

@test "Ctrl-Z stops and fg continues, despite earlier processes" {
  stops_and_continues "bash caller $MEMOLOCK_BIN get --tag t --id x --ttl 1h --"
}

@test "when the terminal is closed, the command ends, but not earlier processes" {
  at_terminal "exec bash caller $MEMOLOCK_BIN get --tag t --id x --ttl 1h -- sh -c 'echo \$\$ >command.pid; cp command.pid far.pid; exec sleep 60'"
  await test -s far.pid
  orphan
  end "$terminal"
  await is_gone "$(<caller.pid)"
  only_the_command_is_gone
  store_is_clean
}

# bats test_tags=slow
@test "whichever process dies at a random moment, only the command is ended, in 50 rounds" {
  for round in {1..50}; do
    spawn_caller -- sh -c "$family; exec sleep 60"
    await test -s far.pid
    await test -s command.pid
    # memolock, the process that runs the command, and the command
    victims=("$caller" "$(ps -o ppid= -p "$(<command.pid)" | tr -d ' ')" "$(<command.pid)")
    signals=(TERM KILL INT USR2)
    (sleep "0.00$((RANDOM % 10))" && : >orphan) 3>&- &
    sleep "0.00$((RANDOM % 10))"
    kill "-${signals[RANDOM % 4]}" "${victims[RANDOM % 3]}"
    finish $caller
    ((status > 128)) || fail "round $round: status $status"
    await is_gone "$(<command.pid)"
    ! is_gone "$(<earlier.pid)" || fail "round $round: what had been started before was ended"
    await is_gone "$(<parent.pid)"
    kill "$(<earlier.pid)" "$(<far.pid)" 2>/dev/null || true
  done
}
