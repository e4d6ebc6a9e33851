#!/usr/bin/env bats
# INT, TERM, HUP and QUIT to the holder and to a waiter, without a controlling terminal.

load ../helpers/common

# A command with a grandchild; both write their process ids to files.
family='echo $$ >command.pid; sh -c "echo \$\$ >grandchild.pid; exec sleep 60"; true'

# hold: starts a holder with such a command.
hold() {
  rm -f command.pid grandchild.pid
  spawn_get -- sh -c "$family" >holder.out 2>holder.err
  holder=$!
  await test -s grandchild.pid
}

family_is_gone() { is_gone "$(<command.pid)" && is_gone "$(<grandchild.pid)"; }

# interrupted_holder SIGNAL: asserts that nothing is left behind or stored, and no failure is shared.
interrupted_holder() {
  hold
  spawn_get -- counted echo mine >waiter.out 2>waiter.err
  local waiter=$!
  await is_waiting $waiter
  kill -"$1" $holder
  finish $holder
  equal $((128 + $(kill -l "$1"))) "$status"
  family_is_gone || fail 'something of the command is left'
  finish $waiter
  equal 0 "$status"
  equal mine "$(<waiter.out)"
  is_empty waiter.err
  ran_times 1
  store_is_clean
}

@test "INT ends the holder and its command, and a waiter takes over" { interrupted_holder INT; }
@test "TERM ends the holder and its command, and a waiter takes over" { interrupted_holder TERM; }
@test "HUP ends the holder and its command, and a waiter takes over" { interrupted_holder HUP; }
@test "QUIT ends the holder and its command, and a waiter takes over" { interrupted_holder QUIT; }

# interrupted_alone SIGNAL: the same without a waiter.
interrupted_alone() {
  hold
  kill -"$1" $holder
  finish $holder
  equal $((128 + $(kill -l "$1"))) "$status"
  family_is_gone || fail 'something of the command is left'
  run -1 memolock get --tag t --id x
  equal '' "$(memolock ls)"
  store_is_clean
}

@test "an interrupted holder stores nothing, whatever the signal" {
  for signal in INT TERM HUP QUIT; do interrupted_alone $signal; done
}

@test "an interrupted holder ends by the signal itself, as its callers expect" {
  spawn perl -e 'system @ARGV; print $? & 127' "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- \
    sh -c 'echo $PPID >memolock.pid; exec sleep 60' >ended.by
  await test -s memolock.pid
  kill -INT "$(<memolock.pid)"
  finish $!
  equal 2 "$(<ended.by)"
}

# interrupted_waiter SIGNAL: asserts that a waiter ends by the signal and runs nothing.
interrupted_waiter() {
  spawn_get -- counted echo mine
  local waiter=$!
  await is_waiting $waiter
  kill -"$1" $waiter
  finish $waiter
  equal $((128 + $(kill -l "$1"))) "$status"
  ran_times 0
}

@test "a signal ends a waiter immediately and does not disturb others, whatever the signal" {
  spawn_get -- held a echo held >holder.out
  holder=$!
  await test -e a.started
  for signal in INT TERM HUP QUIT; do interrupted_waiter $signal; done
  is_running x
  release a
  finish $holder
  equal 0 "$status"
  equal held "$(memolock get --tag t --id x)"
}

@test "without a terminal the command leads its own process group" {
  spawn_get -- sh -c 'ps -o pgid= -p $$; echo $$' >out
  finish_all
  equal 1 "$(tr -d ' ' <out | sort -u | wc -l)"
}

@test "a command that exits by itself on TERM determines the status, and its result is not stored" {
  spawn_get -- sh -c 'trap "echo bye; exit 7" TERM; : >ready; while :; do sleep 0.01; done' >out
  await test -e ready
  kill -TERM $!
  finish $!
  equal 7 "$status"
  equal bye "$(<out)"
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "the result of a command that exits with 0 on TERM is not stored" {
  spawn_get -- sh -c 'trap "exit 0" TERM; : >ready; while :; do sleep 0.01; done'
  await test -e ready
  kill -TERM $!
  finish $!
  equal 0 "$status"
  run -1 memolock get --tag t --id x
}

@test "descendants that have left the command's process group get the signal too" {
  spawn_get -- sh -c 'setsid sh -c "echo \$\$ >far.pid; exec sleep 60" & sleep 60'
  await test -s far.pid
  kill -TERM $!
  finish $!
  equal 143 "$status"
  is_gone "$(<far.pid)"
}

@test "descendants whose parent has ended get the signal too" {
  spawn_get -- sh -c '(setsid sh -c "echo \$\$ >far.pid; exec sleep 60" &); sleep 60'
  await test -s far.pid
  kill -TERM $!
  finish $!
  is_gone "$(<far.pid)"
}

@test "orphans are reaped and get the signal, even if the watchdog has been killed" {
  spawn_get -- sh -c 'echo $$ >command.pid; (sh -c "echo \$\$ >orphan.pid; exec held a true" &); sleep 60'
  await test -e a.started
  watchdog=$(pgrep -x -P $! memolock)
  kill -KILL "$watchdog"
  release a
  is_reaped() { [[ ! -e /proc/$1 ]]; }
  await is_reaped "$(<orphan.pid)"
  await is_reaped "$watchdog"
  kill -TERM "${spawned[0]}"
  finish "${spawned[0]}"
  equal 143 "$status"
}

@test "a stopped command gets the signal too" {
  spawn_get -- sh -c 'echo $$ >command.pid; kill -STOP $$; sleep 60'
  caller=$!
  is_stopped() { [[ -s command.pid && $(ps -o stat= -p "$(<command.pid)") == T* ]]; }
  await is_stopped
  kill -TERM $caller
  await is_gone $caller
  finish $caller
  equal 143 "$status"
  is_gone "$(<command.pid)"
}

# bats test_tags=slow
@test "a grandchild that ignores the signal is eventually killed" {
  spawn_get -- sh -c 'sh -c "trap \"\" TERM; echo \$\$ >deaf.pid; while :; do sleep 1; done"'
  await test -s deaf.pid
  kill -TERM $!
  finish $!
  equal 143 "$status"
  # it has been killed, but a busy machine may end it later than memolock waits for that
  await is_gone "$(<deaf.pid)"
  store_is_clean
}

@test "HUP stays ignored under nohup" {
  spawn nohup "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a echo ended >out 2>/dev/null
  await test -e a.started
  kill -HUP $!
  release a
  finish $!
  equal 0 "$status"
  equal ended "$(<out)"
  equal ended "$(memolock get --tag t --id x)"
}

@test "signals that were blocked when memolock started end neither a holder nor a waiter" {
  blocked=(env "--block-signal=TERM,INT,USR1" "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --)
  spawn "${blocked[@]}" held a echo held >out
  await test -e a.started
  spawn "${blocked[@]}" false
  await is_waiting $!
  for pid in "${spawned[@]}"; do
    for signal in TERM INT USR1; do kill -$signal "$pid"; done
  done
  release a
  finish_all
  equal held "$(<out)"
}

@test "HUP stays ignored by a waiter under nohup too" {
  spawn_get -- held a echo held
  await test -e a.started
  spawn nohup "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false >out 2>/dev/null
  await is_waiting $!
  kill -HUP $!
  release a
  finish_all
  equal held "$(<out)"
}

@test "a signal to a bypassed memolock reaches the command and its descendants" {
  MEMOLOCK_BYPASS=1 spawn_get -- sh -c "$family"
  await test -s grandchild.pid
  kill -TERM $!
  finish $!
  equal 143 "$status"
  family_is_gone
}

@test "other signals have their default action" {
  hold
  kill -USR1 $holder
  finish $holder
  equal 138 "$status"
  await family_is_gone
}

# bats test_tags=slow
@test "interrupts at random moments leave nothing behind, in 60 rounds" {
  for round in {1..60}; do
    : >"$RUNS" # a pid of an earlier round may belong to another process by now
    "$MEMOLOCK_BIN" get --tag t --id "$round" --ttl forever -- counted sh -c 'sleep 0.005; seq 300' \
      >/dev/null 3>&- &
    pid=$!
    sleep "0.00$((RANDOM % 10))"
    kill -TERM $pid 2>/dev/null || true
    finish $pid
    ((status == 0 || status == 143)) || fail "status $status"
    while read -r command; do is_gone "$command" || fail "$command is left"; done <"$RUNS"
  done
  store_is_clean
}
