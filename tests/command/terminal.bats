#!/usr/bin/env bats
# With a controlling terminal, Ctrl-C works as without memolock.

load ../helpers/common

setup() {
  isolate
  use_store
  export get="$MEMOLOCK_BIN get --tag t --id x --ttl 1h --"
}

@test "the command stays in the caller's process group" {
  at_terminal "$get"' sh -c "ps -o pgid= -p \$\$,\$PPID"'
  finish "$terminal"
  equal 0 "$status"
  equal 1 "$(tr -d ' \r' <typescript | sort -u | wc -l)"
}

@test "the command can read from the terminal" {
  at_terminal "$get"' sh -c "read -r line </dev/tty; echo got \$line"'
  echo hello >&8
  finish "$terminal"
  equal 0 "$status"
  contains "$(<typescript)" 'got hello'
}

@test "Ctrl-C ends the command and memolock, and stores nothing" {
  at_terminal "$get"' sh -c "echo \$\$ >command.pid; sh -c \"echo \\\$\\\$ >grandchild.pid; exec sleep 60\"; true"'
  await test -s grandchild.pid
  printf '\003' >&8
  finish "$terminal"
  equal 130 "$status"
  is_gone "$(<command.pid)"
  is_gone "$(<grandchild.pid)"
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "Ctrl-\\ ends the command and memolock, and stores nothing" {
  at_terminal "ulimit -c 0; $get"' sh -c "echo \$\$ >command.pid; exec sleep 60"'
  await test -s command.pid
  printf '\034' >&8
  finish "$terminal"
  equal 131 "$status"
  is_gone "$(<command.pid)"
  store_is_clean
}

@test "Ctrl-C reaches the command once" {
  at_terminal "$get"' bash -c "trap \"echo int >>ints\" INT; : >ready; until [[ -e go ]]; do sleep 0.01; done; exit 5"'
  await test -e ready
  printf '\003' >&8
  await test -s ints
  release go && : >go
  finish "$terminal"
  equal 5 "$status"
  equal 1 "$(wc -l <ints)"
}

@test "Ctrl-C ends a waiter and does not affect the holder" {
  spawn_get -- held a echo held
  holder=$!
  await test -e a.started
  at_terminal "echo \$\$ >waiter.pid; exec $get false"
  await test -s waiter.pid
  await is_waiting "$(<waiter.pid)"
  printf '\003' >&8
  finish "$terminal"
  equal 130 "$status"
  release a
  finish $holder
  equal 0 "$status"
}

# signalled_from_elsewhere SIGNAL: sends it to memolock only, and asserts that the command and its descendants end.
signalled_from_elsewhere() {
  rm -f ./*.pid
  at_terminal "ulimit -c 0; echo \$\$ >memolock.pid; exec $get"' sh -c "echo \$\$ >command.pid; sh -c \"echo \\\$\\\$ >grandchild.pid; exec sleep 60\"; true"'
  await test -s grandchild.pid
  kill -"$1" "$(<memolock.pid)"
  finish "$terminal"
  equal "$1 $((128 + $(kill -l "$1")))" "$1 $status"
  is_gone "$(<command.pid)"
  is_gone "$(<grandchild.pid)"
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "a signal that another process sends reaches the command and its descendants" {
  for signal in INT TERM HUP QUIT; do signalled_from_elsewhere $signal; done
}

# signals that are not forwarded to a command, and that kill a process by default
@test "when another signal kills memolock, the command and all its descendants end" {
  for signal in USR1 USR2 ALRM VTALRM PROF IO PWR STKFLT XCPU ABRT RTMIN RTMAX-1; do
    rm -f ./*.pid
    at_terminal "ulimit -c 0; echo \$\$ >memolock.pid; exec $get"' sh -c "trap \"\" USR1; (setsid sh -c \"echo \\\$\\\$ >far.pid; exec sleep 60\" &); echo \$\$ >command.pid; sh -c \"echo \\\$\\\$ >grandchild.pid; exec sleep 60\"; true"'
    await test -s far.pid
    await test -s grandchild.pid
    kill -$signal "$(<memolock.pid)"
    finish "$terminal"
    equal "$signal $((128 + $(kill -l $signal)))" "$signal $status"
    for name in command far grandchild; do
      await is_gone "$(<$name.pid)" || fail "after $signal the $name is left"
    done
  done
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "signals that were ignored when memolock started end nothing on a terminal" {
  at_terminal "echo \$\$ >memolock.pid; trap '' USR1; exec $get held a echo ended"
  await test -e a.started
  kill -USR1 "$(<memolock.pid)"
  release a
  finish "$terminal"
  equal 0 "$status"
  equal ended "$(memolock get --tag t --id x)"
}

@test "signals that were blocked when memolock started end nothing on a terminal" {
  at_terminal "echo \$\$ >memolock.pid; exec env --block-signal=USR1,ALRM,TERM,HUP $get held a echo ended"
  await test -e a.started
  for signal in USR1 ALRM TERM HUP; do kill -$signal "$(<memolock.pid)"; done
  release a
  finish "$terminal"
  equal 0 "$status"
  equal ended "$(memolock get --tag t --id x)"
}

@test "when memolock is killed, its command is killed too" {
  at_terminal "echo \$\$ >memolock.pid; exec $get"' sh -c "echo \$\$ >command.pid; exec sleep 60"'
  await test -s command.pid
  kill -KILL "$(<memolock.pid)"
  await is_gone "$(<command.pid)"
  finish "$terminal"
}

@test "when the terminal is closed, no process is left" {
  at_terminal "echo \$\$ >memolock.pid; exec $get"' sh -c "echo \$\$ >command.pid; exec sleep 60"'
  await test -s command.pid
  end "$terminal"
  await is_gone "$(<memolock.pid)"
  await is_gone "$(<command.pid)"
  store_is_clean
}

@test "Ctrl-Z stops and fg continues, as without memolock" {
  stops_and_continues "$get"
}

@test "Ctrl-C reaches a command that has left the caller's group" {
  at_terminal "$get"' setsid -w sh -c "echo \$\$ >far.pid; exec sleep 60"'
  await test -s far.pid
  printf '\003' >&8
  await is_gone "$terminal"
  finish "$terminal"
  equal 130 "$status"
  is_gone "$(<far.pid)"
  store_is_clean
}

@test "a background process that ignores Ctrl-C gets TERM before it is killed" {
  cat >deaf <<'END'
trap 'echo heard >>heard; exit' TERM
: >ready
while :; do sleep 0.01; done
END
  at_terminal "$get"' sh -c "trap \"exit 7\" INT; sh deaf & wait"'
  await test -e ready
  printf '\003' >&8
  finish "$terminal"
  equal 7 "$status"
  equal heard "$(<heard)"
  store_is_clean
}

@test "without /proc a signal from another process still reaches the command" {
  unshare -m umount -l /proc 2>/dev/null || skip 'cannot do without /proc here'
  at_terminal "exec unshare -m sh -c 'umount -l /proc; echo \$\$ >memolock.pid; exec $get sh -c \"echo \\\$\\\$ >command.pid; exec sleep 60\"'"
  await test -s command.pid
  kill -TERM "$(<memolock.pid)"
  await is_gone "$terminal"
  finish "$terminal"
  equal 143 "$status"
  is_gone "$(<command.pid)"
}
