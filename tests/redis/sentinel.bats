#!/usr/bin/env bats
# A service whose primary the sentinels report: found, verified, and found again after a failover.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/sentinel

setup_file() { :; }
setup() {
  isolate
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
  patient
}

use_service() {
  start_service
  export MEMOLOCK_STORE=redis+sentinel://$service
}

@test "a miss and a hit go to the primary" {
  use_service
  run -0 --separate-stderr get -- counted echo hello
  equal hello "$output"
  equal '' "$stderr"
  run -0 --separate-stderr get -- counted echo other
  equal hello "$output"
  equal '' "$stderr"
  ran_times 1
  equal hello "$(node 0 get t:x)"
}

@test "a sentinel that is down or does not answer is skipped" {
  use_service
  get -- echo hello
  end "${sentinel_pids[0]}"
  equal hello "$(get)"
  # its share of the timeout is 5 s, as is that of the sentinel that answers
  export MEMOLOCK_STORE_TIMEOUT=15s
  kill -STOP "${sentinel_pids[1]}"
  equal hello "$(get)"
  kill -CONT "${sentinel_pids[1]}"
}

@test "a replicated entry is still a hit after a failover" {
  use_service
  get -- counted echo hello
  node 0 wait 2 5000 >/dev/null
  end "${pids[0]}"
  await all_have_moved_from 0
  run -0 --separate-stderr get -- counted echo other
  equal hello "$output"
  equal '' "$stderr"
  ran_times 1
}

@test "a sentinel that still reports the old primary is not trusted" {
  use_service
  get -- counted echo hello >/dev/null
  # a look-up is sent to the replica that this sentinel reports
  node 0 wait 2 5000 >/dev/null
  export MEMOLOCK_STORE=redis+sentinel://127.0.0.1:${sentinel_ports[0]}/main
  sentinel 0 sentinel remove main >/dev/null
  sentinel 0 sentinel monitor main 127.0.0.1 "${ports[1]}" 3 >/dev/null
  run -125 --separate-stderr memolock get --tag t --id new --on-store-error fail --store-timeout 6s --ttl 1h -- counted true
  contains "$stderr" "127.0.0.1:${ports[1]}: is no longer the primary"
}

# fails_over I HOW: HOW disables the primary while a holder runs and a waiter waits.
fails_over() {
  export MEMOLOCK_LEASE=20s
  use_service
  spawn_get -- held a counted echo held >holder.out 2>holder.err
  local holder=$!
  await test -e a.started
  spawn_get -- counted echo own >waiter.out 2>waiter.err
  local waiter=$!
  await subscribed 0
  node 0 wait 2 5000 >/dev/null
  "$@"
  await has_moved_from 0
  release a
  finish $holder
  equal 0 "$status"
  finish $waiter
  equal 0 "$status"
  equal held "$(<holder.out)"
  is_empty waiter.err
  equal held "$(<waiter.out)"
  ran_times 1
  equal held "$(node "$(primary)" get t:x)"
}
subscribed() { (($(node "${1:-0}" client list | grep -c ' sub=2 ') >= 1)); }

@test "a run and a wait survive a failover: primary killed" {
  fails_over end_primary
}
end_primary() { end "${pids[0]}"; }

@test "a run and a wait survive a failover: primary stopped" {
  # the waiter has to ask the stopped server and then another one within its lease
  MEMOLOCK_STORE_TIMEOUT=4s fails_over stop_primary
  kill -CONT "${pids[0]}"
}
stop_primary() { kill -STOP "${pids[0]}"; }

@test "a waiter notices that its primary was demoted" {
  export MEMOLOCK_LEASE=20s
  use_service
  spawn_get -- held a counted echo held >holder.out
  holder=$!
  await test -e a.started
  spawn_get -- counted echo own >waiter.out
  await subscribed 0
  node 0 wait 2 5000 >/dev/null
  sentinel 0 sentinel failover main >/dev/null
  await has_moved_from 0
  # it looks a few times a lease; meanwhile another may have become the primary
  subscribed_to_primary() { subscribed "$(primary)"; }
  await subscribed_to_primary
  release a
  finish_all
  equal held "$(<waiter.out)"
  ran_times 1
}

@test "users and passwords of servers and sentinels work, and neither is shown" {
  # shellcheck disable=SC2034 # the helper's
  sentinel_extra=('requirepass watchword' 'sentinel auth-pass main secret')
  sentinel() { redis-cli -p "${sentinel_ports[$1]}" --no-auth-warning -a watchword "${@:2}"; }
  node() { redis-cli -s "${sockets[$1]}" --no-auth-warning -a secret "${@:2}"; }
  start_service --requirepass secret --masterauth secret
  export MEMOLOCK_STORE=redis+sentinel://:secret@$service
  run -125 --separate-stderr get -v -v --on-store-error fail -- echo hello
  contains "$stderr" NOAUTH
  lacks "$stderr" secret
  export MEMOLOCK_SENTINEL_PASSWORD=watchword
  run -0 --separate-stderr get -v -v -- echo hello
  equal hello "$output"
  lacks "$stderr" secret
  lacks "$stderr" watchword
  MEMOLOCK_SENTINEL_PASSWORD=$'watchword\r\n' run -0 get --refresh --on-store-error fail -- echo again
  unset MEMOLOCK_SENTINEL_PASSWORD
  echo watchword >password
  equal again "$(get --sentinel-password-file password)"
}

@test "if no sentinel knows the name, the error says so" {
  use_service
  export MEMOLOCK_STORE=redis+sentinel://127.0.0.1:${sentinel_ports[0]}/other
  refused 'no sentinel knows a primary of that name' get --on-store-error fail -- true
}

@test "doctor reports what each sentinel says, and checks the primary" {
  use_service
  run -0 memolock doctor --tag t
  equal 3 "$(grep -c "ok.*sentinel.*reports the primary 127.0.0.1:${ports[0]}" <<<"$output")"
  contains "$output" +role
  end "${sentinel_pids[2]}"
  run -0 memolock doctor --tag t
  contains "$output" "127.0.0.1:${sentinel_ports[2]}: connection refused"
}

@test "doctor distinguishes the login at a sentinel from that at the server" {
  # shellcheck disable=SC2034 # the helper's
  sentinel_extra=('requirepass watchword')
  sentinel() { redis-cli -p "${sentinel_ports[$1]}" --no-auth-warning -a watchword "${@:2}"; }
  use_service
  export MEMOLOCK_SENTINEL_PASSWORD=wrong
  run -1 memolock doctor --tag t
  contains "$output" 'the sentinel at'
  contains "$output" 'correct --sentinel-user'
  lacks "$output" 'correct the user in the URL'
}

@test "TLS works with the sentinels and the servers, before and after a failover" {
  make_certificates certificates
  export REDIS_CERTIFICATES=$PWD/certificates
  start_service
  export MEMOLOCK_STORE=rediss+sentinel://$service
  run -125 --separate-stderr get --on-store-error fail -- echo hello
  contains "$stderr" certificate
  export MEMOLOCK_TLS_CA=$REDIS_CERTIFICATES/ca.pem
  equal hello "$(get -- counted echo hello)"
  run -0 memolock doctor --tag t
  contains "$output" "the server's certificate is valid"
  node 0 wait 2 5000 >/dev/null
  end "${pids[0]}"
  await all_have_moved_from 0
  equal hello "$(get -- counted echo other)"
  ran_times 1
}
