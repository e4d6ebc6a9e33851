#!/usr/bin/env bats
# A server that sends data without ever completing a reply, a link that is too slow, and a link that is slow but
# sufficient.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/faults

setup() {
  isolate
  use_own_id
  use_own_store
  export MEMOLOCK_STORE_TIMEOUT=500ms
}

# get_directly, hold_directly: bypass the relay, with a long timeout.
get_directly() { MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET get --store-timeout 30s "$@"; }
hold_directly() { MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET hold --store-timeout 30s; }

# relay OPTION…: from now on the store is reached through a relay; see slow_relay.
relay() { relay_to "$BATS_TEST_TMPDIR/relay.$((++relays))" "$@"; }
relays=0

# relay_to WHERE OPTION…: the same, with the relay at this path, or address and port.
relay_to() {
  spawn "$HELPERS/slow_relay" "$1" "$REDIS_SOCKET" "${@:2}"
  if [[ $1 == /* ]]; then
    await test -S "$1"
    MEMOLOCK_STORE=redis+unix://$1
  else
    await listens_at "$1"
    MEMOLOCK_STORE=redis://$1
  fi
}

# ends_within SECONDS COMMAND…: returns its status, or 99 if it took longer. The bounds allow for a machine that stops
# for some seconds. Without a timeout, a trickling server would take minutes, and a flood would never end.
ends_within() {
  local start=${EPOCHREALTIME/./} result=0
  "${@:2}" || result=$?
  local took=$(((${EPOCHREALTIME/./} - start) / 1000))
  ((took < $1 * 1000)) || {
    echo "after $took ms: ${*:2}" >&2
    return 99
  }
  return "$result"
}

# runs_once SECONDS [TEXT]: asserts that a call ends in that time, that its command runs once, and that the warning, if
# any, contains TEXT.
runs_once() {
  : >"$RUNS"
  run --separate-stderr -7 ends_within "$1" get "${@:3}" -- counted sh -c 'echo ours; exit 7'
  equal ours "$output"
  ran_times 1
  [[ -z $stderr ]] || one_own_line "$stderr"
  [[ -z ${2-} ]] || contains "$stderr" "$2"
}

# ---- a byte from time to time ----

@test "a server that trickles costs its timeout, at whatever point of its replies that begins" {
  for after in 0 1 4 5 20 60 100 140 160 200 240 300; do
    relay --trickle $after
    runs_once 20 ''
  done
}

@test "a server that trickles while memolock connects, logs in or waits for a reply costs its timeout" {
  relay --trickle 0
  runs_once 20 'no answer within 500ms; running the command without the store'
  redis config set requirepass sesame >/dev/null
  at=${MEMOLOCK_STORE#*//}
  for after in 0 2 5 9; do
    relay --trickle $after
    MEMOLOCK_STORE="redis+unix://:sesame@${MEMOLOCK_STORE#*//}?db=1"
    runs_once 20 'no answer within 500ms'
  done
}

@test "a server that trickles over TLS costs its timeout, during the handshake and afterwards" {
  make_certificates "$PWD/tls"
  start_redis_tls "$PWD/tls"
  REDIS_SOCKET=127.0.0.1:$REDIS_TLS_PORT
  export MEMOLOCK_TLS_CA=$PWD/tls/ca.pem MEMOLOCK_TLS_SERVER_NAME=localhost
  for after in 0 100 {700..2200..125}; do
    relay_to "$(a_port)" --trickle "$after"
    MEMOLOCK_STORE=rediss://${MEMOLOCK_STORE#*//}
    runs_once 20 ''
  done
}

@test "a hit that arrives byte by byte is given up, whether large or small" {
  for size in 1000 60000 100000; do
    it=(--tag t --ttl 1h --id "$id.$size")
    get_directly -- head -c $size /dev/zero >/dev/null
    for after in 200 300 900; do
      relay --trickle $after
      runs_once 25 'running the command without the store'
    done
  done
}

@test "a renewal that trickles is sent again on a new connection, and the lease is kept" {
  relay --trickle 0 --only 2 2
  export MEMOLOCK_STORE_TIMEOUT=30s
  hold --lease 18s --on-lost-lease kill
  # longer than the lease
  sees_renewals 4
  release a
  holder_has_stored
  ran_times 1
}

@test "every verb gives up on a server that trickles after a few timeouts" {
  relay --trickle 0
  for verb in 'ls' 'show --id x' 'del --id x' 'del --all' 'set --id x --ttl 1h /dev/null' \
    'renew --id x --token 0123456789abcdef0123456789abcdef' 'fail --id x --token 0123456789abcdef0123456789abcdef' \
    'get --id x --on-store-error fail' 'once --id x --ttl 1h --on-store-error fail -- true' \
    'lock --id x --on-store-error fail -- true'; do
    # shellcheck disable=SC2086
    refused 'no answer within 500ms' ends_within 20 memolock ${verb%% *} --tag t ${verb#"${verb%% *}"}
  done
  run -1 ends_within 40 memolock doctor --tag t
  contains "$output" 'no answer within 500ms'
}

@test "a waiter on a server that trickles ends in time, at whatever point of replies and messages that begins" {
  hold_directly
  for after in 200 300 350 400 450 500 600; do
    relay --trickle $after
    run ends_within 20 get --wait 1500ms --on-timeout run -- sh -c 'exit 7'
    equal 7 "$status"
  done
  release a
  finish "$holder"
}

@test "sentinels and nodes of a cluster that trickle cost their timeout" {
  at=$(a_port)
  relay_to "$at" --trickle 0
  for kind in sentinel cluster; do
    MEMOLOCK_STORE=redis+$kind://$at
    [[ $kind == cluster ]] || MEMOLOCK_STORE+=/main
    runs_once 25 'running the command without the store'
  done
}

# ---- endless data ----

@test "endless pushes and messages are not treated as an answer" {
  for text in '>2\r\n+a\r\n+b\r\n' '*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n'; do
    for after in 0 5; do
      relay --flood $after "$text"
      runs_once 20 'no answer within 500ms'
    done
  done
  # including large ones, each of which takes time to arrive
  large=$(head -c 70000 /dev/zero | tr '\0' x)
  relay --flood 0 ">2\r\n+a\r\n\$70000\r\n$large\r\n"
  runs_once 25 'running the command without the store'
}

@test "during endless messages a waiter ends in time, and does not send requests all the time" {
  export MEMOLOCK_STORE_TIMEOUT=30s
  hold
  spawn redis-cli -s "$REDIS_SOCKET" < <(yes "PUBLISH t/notif:$id junk") &>/dev/null
  flood=$!
  redis config resetstat >/dev/null
  run -124 ends_within 20 get --wait 2s -- counted true
  asked=$(redis info commandstats | awk -F '[=,]' '/cmdstat_exec:/ { print $2 }')
  end $flood
  ((asked < 200)) || fail "asked $asked times in 2 s"
  release a
  finish "$holder"
  ran_times 1
}

@test "an upload that disappears each time is tried three times" {
  relay --replace '$6\r\nstored\r\n' '$4\r\npart\r\n' --replace '$4\r\nlost\r\n' '$4\r\npart\r\n'
  redis config resetstat >/dev/null
  run --separate-stderr -0 ends_within 60 get --store-timeout 30s -- counted head -c 2000000 /dev/zero
  one_own_line "$stderr"
  contains "$stderr" 'not stored: '
  contains "$stderr" 'the uploaded value disappeared each time'
  ran_times 1
  equal 3 "$(redis info stats | awk -F '[:\r]' '/^total_net_input_bytes/ { print int($2 / 2000000) }')"
}

# ---- slow links ----

# With this timeout a small request is answered even if the machine stops for seconds, and 64 KiB of a large one are
# transferred.
patient_link() { export MEMOLOCK_STORE_TIMEOUT=5s; }

@test "over a link that is too slow a large result is not stored, and a stored one is not waited for" {
  patient_link
  for place in "$BATS_TEST_TMPDIR/thin" "$(a_port)"; do
    it=(--tag t --ttl 1h --id "$id.${#place}")
    relay_to "$place" --rate 4096
    run --separate-stderr -0 ends_within 60 get -- counted head -c 8000000 /dev/zero
    contains "$stderr" 'not stored: '
    contains "$stderr" 'less than 64 KiB transferred within 5s'
    get_directly -- head -c 8000000 /dev/zero >/dev/null
    runs_once 60 'less than 64 KiB transferred within 5s; running the command without the store'
  done
}

# passes_slow_link WHERE SIZE: asserts that a result of this size, slower than --store-timeout, is stored and read.
passes_slow_link() {
  patient_link
  it=(--tag t --ttl 1h --id "$id.$2")
  relay_to "$1" --rate 120000
  run --separate-stderr -0 get -- counted sh -c "yes | head -c $2"
  equal '' "$stderr"
  # --wait limits the time for the store, but a reply that is arriving can take longer
  run --separate-stderr -0 get --wait 0 -- false
  equal "$2" "$((${#output} + 1))"
  equal '' "$stderr"
  ran_times 1
}

@test "over a slow local link a result is stored and read" { passes_slow_link "$PWD/slow" 700000; }
@test "over a slow local link a large result is stored and read" { passes_slow_link "$PWD/slow" 1200000; }
@test "over a slow link a result is stored and read" { passes_slow_link "$(a_port)" 700000; }
@test "over a slow link a large result is stored and read" { passes_slow_link "$(a_port)" 1200000; }

# ---- --wait ----

@test "--wait limits the time that a server can take before the command runs" {
  export MEMOLOCK_STORE_TIMEOUT=8s
  kill -STOP "$REDIS_PID"
  for wait in 0 1s; do
    for url in "redis+unix://$REDIS_SOCKET" "redis+unix://$REDIS_SOCKET?db=1" "redis://127.0.0.1:$REDIS_PORT"; do
      # less than two timeouts
      MEMOLOCK_STORE=$url runs_once 16 'without the store' --wait $wait
    done
  done
  kill -CONT "$REDIS_PID"
}

@test "--wait limits the total of several requests, even if each of them is answered in time" {
  export MEMOLOCK_STORE_TIMEOUT=16s
  # the second answer comes five seconds after the limit
  relay --delay 10500
  runs_once 120
  equal '' "$stderr"
  runs_once 120 'no answer in time; running the command without the store' --wait 1s
}

@test "--wait limits the wait for a holder on this machine too, when the server is unreachable" {
  kill -STOP "$REDIS_PID"
  hold
  run -124 ends_within 20 get --wait 1s -- counted true
  run -124 ends_within 20 memolock lock --tag t --id "$id" --wait 1s --on-store-error run -- counted true
  ran_times 1
  kill -CONT "$REDIS_PID"
  release a
  finish "$holder"
}

@test "with --on-timeout stale the old entry has already been read when the wait ends" {
  export MEMOLOCK_STORE_TIMEOUT=30s
  get -- echo old
  hold --refresh
  # shellcheck disable=SC2034 # get takes it
  it=(--tag t --ttl 1ms --id "$id")
  equal old "$(get --wait 1s --on-timeout stale -- counted true)"
  release a
  finish "$holder"
}

# ---- requests after a large reply ----

# behind_slow_link: from now on the link takes longer than --store-timeout for the entry t:x, which has 900 kB and an
# expired ttl.
behind_slow_link() {
  patient_link
  head -c 900000 /dev/zero >big
  memolock get --tag t --id x --ttl 1ms "$@" -- cat big >/dev/null
  relay --rate 120000
}

@test "a stale entry that takes longer to read than --wait is still refreshed" {
  behind_slow_link --stale 1h
  run -0 --separate-stderr memolock get --tag t --id x --ttl 1h --stale 1h --wait 0 -- echo new
  equal '' "$stderr"
  is_refreshed() { equal new "$(redis get t:x)" 2>/dev/null; }
  await is_refreshed
}

@test "an expired entry that takes longer to read than --wait is replaced" {
  behind_slow_link --stale-if-error 1h
  run -0 --separate-stderr memolock get --tag t --id x --ttl 1h --stale-if-error 1h --wait 0 -- counted echo new
  equal '' "$stderr"
  equal new "$output"
  equal new "$(redis get t:x)"
  ran_times 1
}

@test "a large result is stored over a slow link even if memolock has to reconnect and log in again" {
  patient_link
  redis config set requirepass sesame >/dev/null
  export REDISCLI_AUTH=sesame
  relay_to "$(a_port)" --rate 300000
  head -c 1800000 /dev/zero >big
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a cat big >out
  getter=$!
  await test -e a.started
  redis client kill type normal >/dev/null
  release a
  finish "$getter"
  same_bytes big out
  equal 1800000 "$(redis strlen t:x)"
}
