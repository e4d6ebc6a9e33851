#!/usr/bin/env bats
# The notice of a waiter: a live line on a terminal, which leaves no trace, and elsewhere a line from time to time.
# tmux provides the terminals, and shows what a user would see.
# bats file_tags=slow

load ../helpers/common

tmux() { command tmux -S "$BATS_TEST_TMPDIR/tmux" -f /dev/null "$@"; }

# in_pane NAME SCRIPT: runs it with bash on a terminal of 100 columns, which remains when the script has ended.
in_pane() {
  tmux new-session -d -s "$1" -x 100 -y 10 "exec bash -c '$2; : >ended; sleep infinity'"
}

# screen NAME: the text on it, without blank lines at the end.
screen() { tmux capture-pane -p -t "$1" | sed -e 's/ *$//' -e :a -e '/^\n*$/{$d;N;ba' -e '}'; }

# shows NAME REGEX: whether a line in it matches.
shows() { screen "$1" | grep -qE "$2"; }

# becomes NAME TEXT: waits until this is the text on it. What a process has written appears on the screen a moment later.
becomes() { await has_text "$@" || fail "on the screen: $(screen "$1")"; }
has_text() { [[ $(screen "$1") == "$2" ]]; }

# lacks_line NAME REGEX: whether no line in it matches.
lacks_line() { ! shows "$@"; }

# changes NAME: waits until the text on it changes.
changes() {
  local before
  before=$(screen "$1")
  is_other() { [[ $(screen "$1") != "$before" ]]; }
  await is_other "$1"
}

# hold: starts a holder of the entry, which runs until `release a`.
hold() {
  spawn_get "$@" -- held a echo held >/dev/null
  holder=$!
  await test -e a.started
}

setup() {
  isolate
  use_store
  export get="$MEMOLOCK_BIN get --tag t --id x --ttl forever"
}

teardown() {
  tmux kill-server 2>/dev/null || true
  end_all
}

@test "a waiter on a terminal shows who runs the command and for how long, and leaves no trace" {
  hold
  in_pane p "echo before; $get -- false; echo after"
  await shows p "^memolock: waiting for t:x: $(hostname):$holder, running for [0-9.]+m?s\$"
  release a
  await test -e ended
  becomes p $'before\nheld\nafter'
}

@test "the line appears after the text that a script has already written" {
  hold
  in_pane p "printf %s state:; $get -- false"
  await shows p '^state:memolock: waiting for t:x'
  release a
  await test -e ended
  becomes p 'state:held'
}

@test "the displayed time increases" {
  hold
  in_pane p "$get -- false"
  # nothing while the line is being redrawn
  seconds() { screen p | sed -n 's/.* running for \([0-9][0-9]*\)s$/\1/p'; }
  has_begun() { before=$(seconds) && [[ -n $before ]]; }
  await has_begun
  has_changed() { now=$(seconds) && [[ -n $now && $now != "$before" ]]; }
  await has_changed
  ((now > before)) || fail "$now s after $before s"
}

@test "the duration of the last run is shown as an estimate, with a bar" {
  memolock get --tag t --id x --ttl forever -- sh -c 'sleep 1.1; echo old' >/dev/null
  hold --refresh
  in_pane p "$get --refresh -- false"
  await shows p '^memolock: \[#+-*\] waiting for t:x: .*, the last run took [0-9.]+s$'
  await shows p '\[#{10}\]'
}

@test "on a terminal that is too narrow the line is shortened" {
  hold
  in_pane p "$get -- false"
  await shows p 'running for'
  tmux resize-window -t p -x 24 -y 10
  await shows p '^memolock: waiting for t'
  release a
  await test -e ended
  becomes p held
}

@test "control bytes in names are not sent to the terminal" {
  spawn "$MEMOLOCK_BIN" get --tag t --id $'a\e[2J' --ttl forever -- held b true >/dev/null
  await test -e b.started
  in_pane p "$MEMOLOCK_BIN get --tag t --id \$(printf \"a\\\\033[2J\") --ttl 1h -- false"
  await shows p 'waiting for t:a\\x1b\[2J'
}

@test "nothing is shown while the caller's own command runs" {
  in_pane holder "$get -- held a echo held"
  await test -e a.started
  in_pane waiter "$get -- false"
  await shows waiter 'running for ([2-9]|[1-9][0-9])s'
  equal '' "$(screen holder)"
}

@test "Ctrl-C at a waiter removes the line" {
  hold
  in_pane p "trap : INT; $get -- false"
  await shows p 'waiting for'
  tmux send-keys -t p C-c
  await test -e ended
  becomes p '^C'
}

@test "Ctrl-Z at a waiter stops it and removes the line; fg shows it again" {
  hold
  # not a loop: bash leaves a loop when its command is stopped
  continue_it='until [[ -e go$i ]]; do sleep 0.01; done; fg'
  in_pane p "set -m; $get -- false; i=1; : >stopped1; $continue_it; i=2; : >stopped2; $continue_it; echo after"
  for i in 1 2; do
    await shows p '^memolock: waiting for t:x: .*, running for [0-9.]+m?s$'
    tmux send-keys -t p C-z
    await test -e stopped$i
    await lacks_line p 'waiting for'
    : >go$i
  done
  await shows p 'waiting for'
  release a
  await test -e ended
  await shows p '^after$'
  ! shows p 'waiting for' || fail "$(screen p)"
  equal $'held\nafter' "$(screen p | tail -n 2)"
}

@test "a waiter that Ctrl-Z has stopped can continue in the background" {
  hold
  in_pane p "set -m; $get -- false; bg; : >continued; wait -f; echo after"
  await shows p 'waiting for'
  tmux send-keys -t p C-z
  await test -e continued
  # for as long as another waiter takes to redraw its line twice
  in_pane other "$get -- false"
  await shows other 'running for'
  changes other
  changes other
  ! shows p 'waiting for' || fail "$(screen p)"
  release a
  await test -e ended
  await shows p '^held$'
}

@test "with -q, in the background, or on a dumb terminal there is no line" {
  hold
  in_pane quiet "$get -q -- false"
  in_pane job "set -m; $get -- false & wait"
  in_pane dumb "TERM=dumb $get -- false"
  in_pane plain "$get -- false"
  await shows plain 'running for ([2-9]|[1-9][0-9])s'
  equal '' "$(screen quiet)"
  equal '' "$(screen job)"
  equal '' "$(screen dumb)"
}

@test "a waiter for a promise shows whose promise it is" {
  in_pane p "$get --external -- true"
  await shows p "^memolock: waiting for t:x: $(hostname):[0-9]+, promised [0-9.]+m?s ago\$"
  memolock set --tag t --id x --ttl forever <<<kept
  await test -e ended
  becomes p kept
}

# Each waits for the lock that the other holds.
begin_opposite_order() {
  opposite='exec "$MEMOLOCK_BIN" lock --tag t --id $0 -- sh -c ": >$0.has; until [ -e $1.has ]; do sleep 0.01; done
    exec $MEMOLOCK_BIN lock --tag t --id $1 -- true"'
  spawn sh -c "$opposite" one two 2>one.err
  spawn sh -c "$opposite" two one 2>two.err
}

all_have_spoken() {
  local each
  for each in "${expected[@]}"; do [[ -s $each ]] || return; done
}

# says FILE REGEX: asserts that this is the only line in the file.
says() { [[ $(<"$1") =~ ^memolock:\ still\ $2$ ]] || fail "$1 holds: $(<"$1")"; }

@test "after a minute one line says who holds the lock and how to limit the wait, and with -q there is none" {
  export BATS_TEST_TIMEOUT=180
  hold
  spawn_get -- false 2>waiter.err
  spawn_get --wait 10m -- false 2>bounded.err
  spawn_get -q -- false 2>quiet.err
  in_pane p "$get -- false"
  begin_opposite_order
  expected=(waiter.err bounded.err one.err two.err)
  if ! on_redis; then
    hold_unseen hidden
    spawn "$MEMOLOCK_BIN" lock --tag t --id hidden -- true 2>hidden.err
    expected+=(hidden.err)
  fi
  patience=120 await all_have_spoken
  held_by="$(hostname):[0-9]+, running for 1m[0-9s]*"
  advice=' \(use --wait to limit the wait\)'
  await shows p "^memolock: waiting for t:x: $held_by$advice\$"
  says waiter.err "waiting for t:x: $held_by$advice"
  says bounded.err "waiting for t:x: $held_by"
  says one.err "waiting for t:two: $held_by$advice"
  says two.err "waiting for t:one: $held_by$advice"
  on_redis || says hidden.err "waiting for t:hidden: locked by an unknown process$advice"
  is_empty quiet.err
}
