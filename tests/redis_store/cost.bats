#!/usr/bin/env bats
# The cost of hits, misses and waits on a server: connections, as counted by the server, and round trips, as seen in
# system calls.
# store: redis

load ../helpers/common

setup() {
  isolate
  use_store
  # a run that stops for seconds does not renew its lock
  export MEMOLOCK_LEASE=1m
  strace -f -o trace true 2>/dev/null || skip 'strace cannot run here'
}

calls=sendto,sendmsg,write,writev,recvfrom,recvmsg,read,readv

# trips COMMAND…: how often the command sends data to the server and then receives a reply.
trips() {
  strace -f -qq -y -o trace -e trace=$calls "$@" >/dev/null 2>&1 || true
  trips_in trace
}
trips_in() {
  awk '/ (sendto|sendmsg|write|writev)\([0-9]+<(socket|UNIX|TCP)/ { if (!sent) trips++; sent = 1 }
    / (recvfrom|recvmsg|read|readv)\([0-9]+<(socket|UNIX|TCP).* = [1-9]/ { sent = 0 }
    /(recvfrom|recvmsg|read|readv) resumed.* = [1-9]/ { sent = 0 }
    END { print trips + 0 }' "$1"
}

# no_more_than MOST COUNT WHAT
no_more_than() { (($2 <= $1)) || fail "$2 $3, and not at most $1"; }

# costs CONNECTIONS TRIPS COMMAND…: asserts the number of connections, and the maximum of round trips.
costs() {
  local before made
  before=$(visits)
  made=$(trips "${@:3}")
  equal "$1 connections" "$(($(visits) - before - 1)) connections" \
    && no_more_than "$2" "$made" 'round trips' && ((made > 0))
}

# costs_large: like costs, for a miss with a large value, in one of three attempts: a reply that arrives while the rest
# of the value is being sent looks like another round trip.
costs_large() {
  local tries
  for tries in 1 2 3; do
    memolock del --tag t --id x >/dev/null 2>&1 || true
    costs "$@" && return
  done
  fail "$tries times"
}

t_x=("$MEMOLOCK_BIN" get --tag t --id x --ttl 1h)

@test "a hit is one connection and one round trip" {
  get -- echo small
  costs 1 1 "${t_x[@]}" -- false
  costs 1 1 "$MEMOLOCK_BIN" get --tag t --id x
}

@test "a skipped call of once is one connection and one round trip, and a run three more" {
  costs 1 4 "$MEMOLOCK_BIN" once --tag t --id x --ttl 1h -- true
  costs 1 1 "$MEMOLOCK_BIN" once --tag t --id x --ttl 1h -- false
}

@test "a run of lock is one connection and three round trips" {
  costs 1 3 "$MEMOLOCK_BIN" lock --tag t --id x -- true
}

@test "a short run starts no thread, and a longer one starts a thread that renews its lock" {
  ! is_sanitized tsan || skip 'the thread sanitizer has a thread of its own'
  threads() {
    strace -f -qq -o trace -e trace=clone,clone3 "${t_x[@]}" --refresh --report report -- "$@"
    grep -c 'CLONE_THREAD.* = [1-9]' trace || true
  }
  # on a busy machine even `true` can take longer than the time after which the thread is started
  is_short() {
    : >report
    count=$(threads true)
    jq -e '.run_time < 0.02' report >/dev/null
  }
  await is_short
  equal 0 "$count"
  # nor is it started if memolock wakes up only after the command
  starts_one() { [[ $(threads sleep 1) == 1 ]]; }
  await starts_one
}

@test "a hit of a large entry is one connection and one round trip" {
  get -- head -c 5000000 /dev/zero >/dev/null
  costs 1 1 "${t_x[@]}" -- false
}

@test "a hit with artifacts is one connection and one round trip; unrequested artifacts are not sent" {
  get --artifact f -- sh -c 'head -c 3000000 /dev/urandom >f' >/dev/null
  costs 1 1 "${t_x[@]}" --artifact f -- false
  redis config resetstat >/dev/null
  "${t_x[@]}" -- false
  await nobody_is_connected
  (($(redis info stats | awk -F '[:\r]' '/^total_net_output_bytes/ { print $2 }') < 100000)) || fail 'the artifacts were sent'
}

@test "a miss with artifacts adds at most three round trips" {
  costs 1 4 "${t_x[@]}" --artifact f -- sh -c 'echo 1 >f'
  costs 1 4 "${t_x[@]}" --id y --artifact f -- sh -c 'head -c 2000000 /dev/zero; head -c 2000000 /dev/urandom >f'
}

@test "a hit of another program's value is one connection and one round trip" {
  redis set t:x theirs >/dev/null
  costs 1 1 "${t_x[@]}" -- false
}

@test "a look-up that finds nothing is one connection and one round trip" {
  # with another round trip to see that the lock is free
  costs 1 2 "$MEMOLOCK_BIN" get --tag t --id x
}

@test "a miss adds at most three round trips, on the same connection" {
  costs 1 4 "${t_x[@]}" -- echo small
  costs 1 4 "${t_x[@]}" --refresh -- head -c 5000 /dev/zero
}

@test "a miss with a large value adds no more round trips" {
  costs_large 1 4 "${t_x[@]}" -- head -c 2000000 /dev/zero
  costs 1 2 "${t_x[@]}" # the value was stored
}

@test "a miss that is not stored adds no more round trips" {
  costs 1 4 "${t_x[@]}" -- false
  costs 1 4 "${t_x[@]}" --ttl 0 -- echo small
  costs_large 1 4 "${t_x[@]}" --ttl 0 -- head -c 2000000 /dev/zero
  costs 1 4 "${t_x[@]}" --max-entry 10 -- seq 1000
  costs 1 4 "${t_x[@]}" --max-runtime 50ms -- sleep 60
}

connections() { redis client list | grep -c -v ' cmd=client'; }

@test "a holder whose command has ended holds one connection until its promise is completed" {
  spawn_get --external --lease 12s -v -- held a true 2>err
  await test -e a.started
  sees_renewals 1
  release a
  await grep -q 'waiting for the result' err
  is_one() { [[ $(connections) == 1 ]]; }
  await is_one
  end_all
}

@test "each waiter holds one connection" {
  spawn_get -- held a true
  await test -e a.started
  equal 1 "$(connections)"
  for _ in {1..10}; do
    spawn_get -- false
    await is_waiting $!
  done
  equal 10 "$(redis client list type pubsub | grep -c id=)"
  # The holder has one connection, and after a moment another one for renewals.
  no_more_than 12 "$(connections)" connections
  release a
  finish_all
}

# thirds LEASE SINCE: the number of thirds of a lease of LEASE ms since then, rounded up.
thirds() { echo $(((${EPOCHREALTIME/[.,]/} - $2) * 3 / ($1 * 1000) + 1)); }

# bats test_tags=slow
@test "a lock is renewed every third of its lease, over a second connection" {
  # long enough for each renewal to be answered in time, over the same connection
  spawn_get --lease 9s -- held a true
  await test -e a.started
  since=${EPOCHREALTIME/[.,]/}
  redis config resetstat >/dev/null
  token=$(redis get t/lock:x)
  await renewed 4
  no_more_than "$(($(thirds 9000 "$since") + 1))" "$(renewals)" renewals
  equal "$token" "$(redis get t/lock:x)"
  equal 2 "$(connections)"
  release a
  finish_all
}

# bats test_tags=slow
@test "a waiter sends a few requests, and then 1.5 per lease, however long it waits" {
  since=${EPOCHREALTIME/[.,]/}
  spawn_get --lease 8s -- held a true
  await test -e a.started
  spawn strace -f -qq -y -o trace -e trace=$calls,poll,ppoll "${t_x[@]}" -v -- false 2>err
  await began_to_wait 1 err
  redis config resetstat >/dev/null
  await renewed 9
  # without the looks for an interrupt during a request that takes long, which do not wait
  turns=$(grep poll trace | grep -vc '{fd=-1}.*, 2, {tv_sec=0, tv_nsec=0}')
  asked=$(trips_in trace)
  thirds=$(thirds 8000 "$since")
  no_more_than $((6 + thirds / 2)) "$asked" 'round trips'
  # and it does not wake up more often
  no_more_than $((2 * asked)) "$turns" 'turns'
  release a
  finish_all
}

@test "a waiter gets its answer for the cost of a miss and two more round trips" {
  spawn_get -- held a true
  await test -e a.started
  spawn strace -f -qq -y -o trace -e trace=$calls "${t_x[@]}" -v -- false 2>err
  await began_to_wait 1 err
  release a
  finish_all
  no_more_than 6 "$(trips_in trace)" 'round trips'
}

# bats test_tags=slow
@test "under a lock without an expiry a waiter sends requests only as often as its own lease requires" {
  since=${EPOCHREALTIME/[.,]/}
  redis set t/lock:x another-program >/dev/null
  spawn strace -f -qq -y -o trace -e trace=$calls "${t_x[@]}" -v --lease 300ms -- false 2>err
  asked() { (($(trips_in trace) >= $1)); }
  await asked 9
  made=$(trips_in trace)
  no_more_than $((6 + $(thirds 300 "$since") / 2)) "$made" 'round trips'
  redis set t:x theirs >/dev/null
  redis publish t/notif:x theirs >/dev/null
  finish_all
}
