#!/usr/bin/env bats
# The message queue of a promise, which its holder does not read while the command runs.
# store: local

load ../helpers/common

# begin OPTION…: starts a promise whose command runs until `release command`; its streams are in p.out and p.err.
begin() {
  rm -f command.*
  # shellcheck disable=SC2016
  spawn_get -v --external "$@" -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >token && exec held command true' >p.out 2>p.err
  promised=$!
  await test -e command.started
  token=$(<token)
  mailbox=$MEMOLOCK_CACHE_DIR/t/x.promise
}

renew() { timeout 60 "$MEMOLOCK_BIN" renew --tag t --id x --token "$token" "$@"; }
set_it() { timeout 60 "$MEMOLOCK_BIN" set --tag t --id x --token "$token" --ttl 1h; }

# queue COUNT LINE: puts the line into the queue COUNT times; with an empty COUNT, until the queue is full.
queue() { yes "${@: -1}" | head -n "${1:-1000000}" | dd obs=4096 oflag=nonblock status=none of="$mailbox" 2>/dev/null || true; }

# fill LINE: puts as many complete lines as possible into the queue.
fill() { yes "$1" | dd obs=$((4096 / (${#1} + 1) * (${#1} + 1))) count=1000 oflag=nonblock status=none of="$mailbox" 2>/dev/null || true; }

# lives_on: ends the command, and asserts that the promise outlives a lease of 200 ms that began afterwards.
lives_on() {
  release command
  await grep -q 'waiting for the result' p.err
  run -124 memolock get --tag t --id other --ttl 1h --external --lease 200ms -- true
  echo late | set_it
  finish "$promised"
  equal "0 late" "$status $(<p.out)"
  memolock del --tag t --id x >/dev/null
}

@test "in a full queue a renewal replaces the oldest one, and no caller waits" {
  for life in 1000 20; do
    begin --lease 50ms
    fill "renew $life"
    renew --lease 1h
    lives_on
  done
}

@test "a renewer that is killed while it makes room in a full queue loses no renewals of others" {
  begin --lease 50ms
  fill 'renew 3600000'
  rm -f trace
  # at its second write to the queue
  run -137 strace -qq -o trace -P "$mailbox" -e trace=write -e inject=write:error=EINTR:signal=KILL:when=2 \
    "$MEMOLOCK_BIN" renew --tag t --id x --token "$token" --lease 10ms
  contains "$(<trace)" EAGAIN
  lives_on
}

@test "all renewals are read completely, however many there are" {
  begin --lease 50ms
  queue 293 'renew 1000000'
  lives_on
  begin --lease 50ms
  queue 2000 'renew 1000000000'
  lives_on
}

@test "an answer is found at the command's end even if the queue is full" {
  begin --lease 1h
  queue '' 'renew 1000000'
  echo early | set_it
  release command
  finish "$promised"
  equal "0 early" "$status $(<p.out)"
}

@test "a renewal during the command does not shorten a promise" {
  begin --lease 1h
  renew --lease 10ms
  queue 1 'renew 10'
  lives_on
}

@test "a line that is not a renewal is ignored" {
  begin --lease 50ms
  renew --lease 1h
  printf 'renew %s\n' 99999999999999999999 -5 '' '10 ' x '+10' >>"$mailbox"
  printf 'renewal 10\nRENEW 10\n\nnonsense\nrenew 10' >>"$mailbox"
  lives_on
}

@test "renew of a promise whose holder has died reports that" {
  begin --lease 1h
  queue '' 'renew 1000000'
  bury "$promised"
  run --separate-stderr -1 renew
  one_own_line "$stderr"
}

@test "an answer to a holder that has died is refused even while another process reads its queue" {
  mkfifo stdin
  for verb in set fail; do
    begin --lease 1h
    # like a process that makes room in it
    exec {reader}<>"$mailbox" {writer}<>stdin
    options=(--tag t --id x --token "$token")
    [[ $verb == fail ]] || options+=(--ttl 1h)
    spawn "$MEMOLOCK_BIN" $verb "${options[@]}" <stdin 2>err {writer}>&-
    setter=$!
    await has_open $setter x.promise
    bury "$promised"
    exec {writer}>&-
    finish $setter
    equal "$verb 1" "$verb $status"
    one_own_line "$(<err)"
    equal '' "$(compgen -G "$MEMOLOCK_CACHE_DIR/t/*.answer*" || true)"
    exec {reader}>&-
  done
}
