#!/usr/bin/env bats
# A signal ends a call at every stage: INT, TERM, HUP and QUIT, with and without a terminal.
# Nothing is stored, the lock is released, and no process is left.
# bats file_tags=slow

load ../helpers/common
load ../helpers/names

setup() {
  isolate
  use_store
  ulimit -c 0
  mkfifo keys
  exec 8<>keys
}

teardown() {
  ! on_redis || kill -CONT "$REDIS_PID"
  end_all
}

# ---- a call, with or without a terminal ----

# call WORD…: starts memolock in the background, with $within before it; its output goes to the files out and err, or
# to $to and $errors_to. $pid is the pid of memolock, and $caller the process to wait for.
within=()
call() {
  rm -f pid command.pid
  cat >call <<END
echo \$\$ >pid.new
mv pid.new pid
exec ${within[@]@Q} ${MEMOLOCK_BIN@Q} ${@@Q} ${from+<$from} >${to-out} 2>${errors_to-err}
END
  if [[ $at == terminal ]]; then
    SHELL=$(command -v bash) spawn script -qec 'exec bash call' /dev/null <&8 >typescript 2>&1
  else
    spawn bash call
  fi
  caller=$!
  await test -s pid
  pid=$(<pid)
  await is_memolock
}
is_memolock() { [[ /proc/$pid/exe -ef $MEMOLOCK_BIN ]]; }

# interrupt SIGNAL: sends it with a key of the terminal, if it has one.
interrupt() {
  case $at-$1 in
    terminal-INT) printf '\003' >&8 ;;
    terminal-QUIT) printf '\034' >&8 ;;
    *) kill -"$1" "$pid" ;;
  esac
}

# ends_by SIGNAL: asserts that the signal ends the call. The limit is for a busy machine; usually it takes a fraction of
# a second.
ends_by() {
  interrupt "$1"
  patience=15 await is_gone "$pid" || fail "after $1, $at: still at work"
  finish "$caller"
  equal "$1: $((128 + $(kill -l "$1")))" "$1: $status"
  [[ ! -s command.pid ]] || await is_gone "$(<command.pid)"
}

# each_signal STAGE [LEFT]: STAGE brings a call to the stage at which it is interrupted; LEFT checks what is left.
each_signal() {
  local signal
  for at in nowhere terminal; do
    for signal in INT TERM HUP QUIT; do
      "$1"
      ends_by $signal
      "${2-nothing_is_left}"
    done
  done
}

# each_verb STAGE VERB…: sends TERM to a call of each of these verbs.
each_verb() {
  for verb in "${@:2}"; do
    "$1"
    ends_by TERM
    nothing_is_left
  done
}

nothing_is_left() {
  ! on_redis || await nobody_holds
  equal '' "$(memolock ls)"
  store_is_clean
}
entry_is_left() {
  contains "$(memolock ls)" fresh
  store_is_clean
}

# Whether it reads from an empty pipe, or writes to a full one.
is_at_pipe() { grep -q pipe "/proc/$pid/wchan"; }

only_on_a_server() { on_redis || skip 'a directory is not asked'; }

at=nowhere
verb="get"
# ask OPTION… [-- COMMAND…]: calls $verb with these options, and with this command or true.
ask() {
  local options=() command=(-- true)
  while (($# > 0)) && [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  (($# == 0)) || command=("$@")
  case $verb in
    get) options+=(--tag t --id x --ttl forever "${command[@]}") ;;
    once) options=(--store "${MEMOLOCK_STORE-local}" "${options[@]}" --tag t --id x --ttl 1h "${command[@]}") ;;
    lock) options+=(--tag t --id x "${command[@]}") ;;
    set) options+=(--tag t --id x --ttl 1h "${from-/dev/null}") ;;
    del) options+=(--tag t --id x) ;;
    *) options+=(--tag t) ;;
  esac
  call "$verb" "${options[@]}"
}

# ---- before the command ----

# The id is derived from all of stdin, which has not ended yet.
in_inputs() {
  from=input ask --key-stdin
  await is_at_pipe
}

@test "a signal ends a call while it reads stdin, or the file for set" {
  mkfifo input
  exec 9<>input
  each_signal in_inputs
  verb="set"
  in_file() {
    from=input ask
    await is_asleep "$pid"
  }
  each_signal in_file
}

in_name_look_up() {
  : >"log.${name_servers[0]}"
  ask --store redis://nowhere.test --store-timeout 60s
  await asked 0 'A nowhere.test udp'
}

@test "a signal ends a call while it looks up a host name" {
  only_on_a_server
  own_names
  name_server '* * mute'
  within=("${own_etc[@]}")
  each_signal in_name_look_up
  at=nowhere
  each_verb in_name_look_up once lock set del ls
}

in_password() {
  [[ -p password ]] || mkfifo password
  ask --password-file password
  await has_open "$pid" password
}

@test "a signal ends a call while it waits for a password from a FIFO" {
  only_on_a_server
  each_signal in_password
  at=nowhere
  each_verb in_password once lock set del ls
}

# The first request of `get` is the look-up, that of `lock` asks for the lock.
in_request() {
  kill -STOP "$REDIS_PID"
  ask --store-timeout 60s
  await is_asking
}
is_asking() { is_asleep "$pid" && [[ -n $(sockets "$pid") ]]; }
server_goes_on() {
  kill -CONT "$REDIS_PID"
  nothing_is_left
}

@test "a signal ends a call while a server does not answer its first request" {
  only_on_a_server
  each_signal in_request server_goes_on
}

@test "a signal ends a call while a server does not answer the request for the lock" {
  only_on_a_server
  verb=lock
  each_signal in_request server_goes_on
  at=nowhere
  for verb in once set del ls; do
    in_request
    ends_by TERM
    server_goes_on
  done
}

# The server sends unrelated replies without end.
in_flood() {
  ask --store "redis+unix://$PWD/relay" --store-timeout 60s
  await has_worked
}
has_worked() { awk '{ exit !($14 + $15 >= 10) }' "/proc/$pid/stat"; }

@test "a signal ends a call while a server floods it with replies" {
  only_on_a_server
  local numbers
  # these take longer to read than to send, so memolock always has some to read
  printf -v numbers ':1\\r\\n%.0s' {1..2000}
  spawn "$HELPERS/slow_relay" "$PWD/relay" "$REDIS_SOCKET" --flood 0 ">2000\r\n$numbers"
  await test -S relay
  each_signal in_flood
}

in_wait() {
  ask
  await is_waiting "$pid"
}
holder_is_at_work() { is_running x; }

@test "a signal ends a call while it waits for another's run" {
  spawn_get -- held a echo held >holder.out
  holder=$!
  await test -e a.started
  each_signal in_wait holder_is_at_work
  at=nowhere verb=lock
  in_wait
  ends_by TERM
  release a
  finish $holder
  equal 0 "$status"
  equal held "$(memolock get --tag t --id x)"
}

# ---- during the command and afterwards ----

# says OPTION… -- SCRIPT: a call whose command writes its pid to a file.
says() { ask "${@:1:$#-1}" sh -c "echo \$\$ >command.pid; ${*: -1}"; }
has_ended() { [[ -s command.pid ]] && is_gone "$(<command.pid)"; }

in_run() {
  says -- 'exec sleep 60'
  await test -s command.pid
}

@test "a signal ends a call while the command runs" {
  each_signal in_run
  at=nowhere
  each_verb in_run once lock
}

# Before memolock has seen the end of the command, a signal would be one to the command.
in_pack() {
  says --max-entry 50GiB --artifact large -- 'truncate -s 40G large'
  await has_open "$pid" large
}

@test "a signal ends a call while artifacts are packed" { each_signal in_pack; }

# A link that takes a second for 100 kB.
slow_link() {
  link=$(a_port)
  spawn "$HELPERS/slow_relay" "$link" "$REDIS_SOCKET" --rate 100000
  await listens_at "$link"
}

# in_upload OPTION… -- SCRIPT: the server has received a part of the output of SCRIPT.
in_upload() {
  says --store "redis://$link" "$@"
  await has_some
}
has_some() { has_ended && redis_has_much; }
redis_has_much() { redis client list | grep -qE 'tot-mem=([1-9][0-9]{5}|[1-9][0-9]{6})'; }

in_upload_of_value() { in_upload -- 'head -c 4000000 /dev/zero'; }
in_upload_of_archive() { in_upload --artifact noise -- 'head -c 4000000 /dev/urandom >noise; head -c 4000000 /dev/zero'; }
in_commit() { in_upload -- 'head -c 900000 /dev/zero'; }
in_share() { in_upload -- 'head -c 900000 /dev/zero; exit 3'; }

# The caller has received the output, and the link is idle again.
value_is_out() {
  equal "$1" "$(wc -c <out)"
  patience=30 await nobody_is_connected
  nothing_is_left
}
large_is_out() { value_is_out 4000000; }
small_is_out() { value_is_out 900000; }

@test "a signal ends a call while a large output is uploaded" {
  only_on_a_server
  slow_link
  each_signal in_upload_of_value large_is_out
}

@test "a signal ends a call while an output is stored in a single request" {
  only_on_a_server
  slow_link
  each_signal in_commit small_is_out
}

@test "a signal ends a call while set uploads a file" {
  only_on_a_server
  slow_link
  head -c 1200000 /dev/zero >input
  verb="set" from=input
  in_set() {
    ask --store "redis://$link"
    await redis_has_much
  }
  each_signal in_set
  unset from
}

@test "a signal ends a call while artifacts or a failure are uploaded" {
  only_on_a_server
  slow_link
  in_upload_of_archive
  ends_by TERM
  large_is_out
  in_share
  ends_by TERM
  small_is_out
}

# The command has stopped the server, which does not answer the request to store the result.
in_store() {
  says --store-timeout 60s -- "kill -STOP $REDIS_PID; echo out"
  await has_ended
  await is_asleep "$pid"
}

@test "a request that was sent before a signal and is executed after it is undone" {
  only_on_a_server
  each_signal in_store server_goes_on
  at=nowhere
  for verb in once lock; do
    in_store
    ends_by TERM
    server_goes_on
  done
}

# in_flight RELAY OPTION…: the kernel has the complete request and continues to send it for seconds; the relay delays
# only this connection.
in_flight() {
  spawn "$HELPERS/slow_relay" "$PWD/$1" "$REDIS_SOCKET" --rate 15000 --only 1 1
  await test -S "$1"
  says --store "redis+unix://$PWD/$1" "${@:2}" -- 'head -c 120000 /dev/zero'
  await has_ended
  await is_asleep "$pid"
}

@test "a request that was on its way when a signal came, and arrives several leases later, is refused" {
  only_on_a_server
  in_flight relay --lease 1s
  ends_by TERM
  await nobody_is_connected
  nothing_is_left
}

@test "requests of two successive holders that were on their way are both refused" {
  only_on_a_server
  in_flight first
  ends_by TERM
  in_flight second
  ends_by TERM
  await nobody_is_connected
  nothing_is_left
}

# in_promise COMMAND LAST CONDITION: interrupts the holder of a promise when CONDITION holds. Its command stops the
# server between COMMAND and LAST.
in_promise() {
  says --external --lease 15s --store-timeout 60s -- "$1; kill -STOP $REDIS_PID; $2"
  await "$3"
  ends_by TERM
  kill -CONT "$REDIS_PID"
  await nobody_is_connected
  await nobody_holds
}

@test "a result that others stored with the token of an interrupted holder is not undone" {
  only_on_a_server
  # shellcheck disable=SC2016
  local set='echo kept | "$MEMOLOCK_BIN" set --ttl 1h || exit' fail='"$MEMOLOCK_BIN" fail --status 7 </dev/null || exit'
  in_promise "$set" 'exec sleep 60' renews
  equal kept "$(memolock get --tag t --id x)"
  memolock del --tag t --id x >/dev/null
  in_promise "$fail" 'exec sleep 60' renews
  equal 7 "$(redis hget t/run:x status)"
  in_promise "$set" 'exit 3' publishes
  equal kept "$(memolock get --tag t --id x)"
}
publishes() { has_ended && is_asleep "$pid"; }

in_run_that_is_reported() {
  says --report report -- 'exec sleep 60'
  await test -s command.pid
}

@test "a signal ends a call whose report does not fit into a FIFO" {
  mkfifo report
  exec 5<>report
  head -c 65536 /dev/zero >&5
  for signal in INT TERM; do
    in_run_that_is_reported
    ends_by $signal
    nothing_is_left
  done
}

# The connection for renewals is opened for the first one, after a third of the lease. A renewal can take that long too.
in_renewal() {
  says --lease 15s --store-timeout 60s -- "kill -STOP $REDIS_PID; exec sleep 60"
  await renews
}
renews() { server_is_stopped && (($(sockets "$pid" | wc -l) == 2)); }
server_is_stopped() { grep -q '^State:[[:space:]]*T' "/proc/$REDIS_PID/status"; }

@test "a signal ends a call while a renewal is not answered" {
  only_on_a_server
  in_renewal
  ends_by TERM
  server_goes_on
}

# ---- with a stored entry ----

in_restore() {
  rm -rf large
  ask --max-entry 50GiB --artifact large
  await compgen -G '.memolock-*'
}
restored_nothing() {
  equal '' "$(compgen -G '.memolock-*' || true)"
  [[ ! -e large ]] || fail 'large is there'
  entry_is_left
}

@test "a signal ends a call while artifacts are restored" {
  memolock get --tag t --id x --ttl forever --max-entry 50GiB --artifact large -- truncate -s 6G large
  each_signal in_restore restored_nothing
}

in_replay() {
  ask
  await is_at_pipe
}

@test "a signal ends a call while it writes an entry to a stalled reader" {
  memolock get --tag t --id x --ttl forever -- seq 200000 >/dev/null
  mkfifo pipe
  exec 4<>pipe
  to=pipe
  each_signal in_replay entry_is_left
}

in_message() {
  case $verb in
    get) ask -v ;;
    fail) ask --id x --token nobody ;;
    set) ask --token nobody ;;
  esac
  await is_at_messages
}
is_at_messages() { grep -qE 'pipe|poll' "/proc/$pid/wchan"; }

@test "a signal ends a call while it writes a message to a stalled reader" {
  mkfifo messages
  exec 4<>messages
  dd if=/dev/zero bs=4096 count=1000 oflag=nonblock status=none of=messages 2>/dev/null || true
  errors_to=messages
  for verb in get set fail; do each_signal in_message; done
}
