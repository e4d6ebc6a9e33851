#!/usr/bin/env bats
# A cluster: the node of an entry is found, also after it changes; operations on a whole tag use all nodes.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/cluster

setup_file() { :; }
setup() {
  isolate
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
  patient # until a cluster whose node stood still is healthy again
}

use_cluster() {
  start_cluster "${@:-3}"
  export MEMOLOCK_STORE=redis+cluster://$cluster
}

# get_id ID WORD…
get_id() { memolock get --tag t --id "$1" --ttl 1h "${@:2}"; }

# visits: how many connections the nodes have accepted in total, without those of the test itself.
visits() {
  local i sum=0
  asked=$((${asked-0} + 1))
  for i in "${!sockets[@]}"; do
    sum=$((sum + $(node "$i" info stats | awk -F '[:\r]' '/^total_connections_received/ { print $2 }') - asked))
  done
  echo "$sum"
}

# connects TIMES COMMAND…: asserts that the command opens this many connections.
connects() {
  local before after
  before=$(visits)
  "${@:2}" >/dev/null
  asked=$((asked + 1))
  after=$(visits)
  equal "$1 connections" "$((after - before)) connections"
}

subscribed() { (($(node "$1" client list | grep -c ' sub=1 .* ssub=1 ') == $2)); }

@test "a miss and a hit work at each node, and all keys of an entry are in one slot" {
  use_cluster
  local n id
  for n in 0 1 2; do
    id=$(id_at "$n")
    run -0 --separate-stderr get_id "$id" -- counted echo "hello $n"
    equal "hello $n" "$output"
    equal '' "$stderr"
    run -0 --separate-stderr get_id "$id" -- counted echo other
    equal "hello $n" "$output"
    equal '' "$stderr"
    equal "hello $n" "$(node "$n" get "t:{$id}")"
    equal $'t/meta:{'"$id"$'}\nt:{'"$id}" "$(node "$n" --raw keys '*' | grep -v lock | sort)"
  done
  ran_times 3
}

@test "large entries, failures, artifacts and marks work" {
  use_cluster
  get_id "$(id_at 1 large)" -- head -c 3000000 /dev/zero >/dev/null
  equal 3000000 "$(get_id "$(id_at 1 large)" -- echo other | wc -c)"
  run -3 get_id "$(id_at 2 failed)" --cache-failures 1h -- counted sh -c 'echo no; exit 3'
  run -3 get_id "$(id_at 2 failed)" --cache-failures 1h -- counted true
  equal no "$output"
  get_id "$(id_at 2 made)" --artifact made -- sh -c 'echo it >made'
  rm made
  get_id "$(id_at 2 made)" --artifact made -- false
  equal it "$(<made)"
  memolock once --tag t --id "$(id_at 1 once)" --ttl 1h -- counted true
  memolock once --tag t --id "$(id_at 1 once)" --ttl 1h -- counted true
  memolock lock --tag t --id "$(id_at 1 lock)" -- counted true
  ran_times 3
}

@test "x and {x} are one entry, an id keeps its own hash tag, and an id that begins with } is refused" {
  use_cluster
  equal one "$(get_id x -- echo one)"
  equal one "$(get_id '{x}' -- echo two)"
  equal three "$(get_id 'a{x}b' -- echo three)"
  equal three "$(node "$(owner x)" get 't:a{x}b')"
  equal four "$(get_id '{}y' -- echo four)"
  equal four "$(get_id '{}y' -- echo five)"
  refused "--id: must not begin with '}'" get_id '}x' -- true
  equal $'a{x}b\nx\n{}y' "$(memolock ls --tag t | cut -f 2 | LC_ALL=C sort)"
}

@test "the first hit learns which node has which slots, and the next process uses the cached slots" {
  use_cluster
  local id
  id=$(id_at 2)
  get_id "$id" -- echo hello
  rm -r store
  connects 2 get_id "$id" -- false
  connects 1 get_id "$id" -- false
  connects 1 get_id "$id"
  connects 1 get_id "$(id_at 1 absent)" || true
  # ids of the first node need no more connections
  rm -r store
  get_id "$(id_at 0)" -- echo hello
  rm -r store
  connects 1 get_id "$(id_at 0)" -- false
}

@test "a hit with cached slots is one round trip" {
  use_cluster
  local id
  id=$(id_at 2)
  get_id "$id" -- echo hello
  strace -qq -y -o trace -e trace=sendto,sendmsg,write,writev "$MEMOLOCK_BIN" get --tag t --id "$id" >/dev/null \
    || skip 'strace cannot run here'
  equal 1 "$(grep -cE '<(socket|TCP)' trace)"
}

@test "without a place for the cache each process asks for the slots" {
  use_cluster
  unset MEMOLOCK_CACHE_DIR HOME XDG_CACHE_HOME
  get_id "$(id_at 2)" -- echo hello
  connects 2 get_id "$(id_at 2)" -- false
}

@test "cached slots are not trusted: damaged, of another cluster, or outdated" {
  use_cluster
  local id file
  id=$(id_at 2)
  get_id "$id" -- counted echo hello
  file=$(echo store/.clusters/*.slots)
  echo rubbish >>"$file"
  equal hello "$(get_id "$id" -- counted echo other)"
  # all slots are assigned to the first node, which redirects to the others
  sed -i '3,$d' "$file"
  echo "0 16383 ${ids[0]} ${ports[0]} 127.0.0.1" >>"$file"
  equal hello "$(get_id "$id" -- counted echo other)"
  connects 1 get_id "$id"
  # a node that no longer exists
  sed -i "s/ ${ports[2]} / 1 /" "$file"
  equal hello "$(get_id "$id" -- counted echo other)"
  connects 1 get_id "$id"
  # not a file
  rm "$file"
  mkfifo "$file"
  equal hello "$(get_id "$id" -- counted echo other)"
  ran_times 1
}

@test "a node of another cluster at a cached address gets no request that writes" {
  use_cluster
  local id file
  id=$(id_at 2)
  get_id "$id" -- echo hello
  file=$(echo store/.clusters/*.slots)
  start_redis --cluster-enabled yes
  redis cluster addslotsrange 0 16383
  takes_writes() { [[ $(redis set t:x 1) == OK ]]; }
  await takes_writes
  sed -i "s/ ${ports[2]} / $REDIS_PORT /" "$file"
  cp "$file" before
  equal hello "$(get_id "$id" -- echo other)"
  cp before "$file"
  echo new | memolock set --tag t --id "$id" --ttl 1h
  equal new "$(node 2 get "t:{$id}")"
  equal 1 "$(redis dbsize)"
}

@test "a server that is not a node gets no request that writes, and its cached address is removed" {
  use_cluster
  local id file options
  id=$(id_at 2)
  get_id "$id" -- echo hello
  file=$(echo store/.clusters/*.slots)
  cp "$file" before
  for options in '' '--requirepass secret'; do
    # shellcheck disable=SC2086
    start_redis $options
    sed "s/ ${ports[2]} / $REDIS_PORT /" before >"$file"
    equal hello "$(get_id "$id" -- echo other)"
    sed "s/ ${ports[2]} / $REDIS_PORT /" before >"$file"
    head -c 3000000 /dev/zero | memolock set --tag t --id "$id" --ttl 1h
    [[ $(redis dbsize) == @(0|NOAUTH*) ]] || fail "written: $(redis keys '*')"
    connects 1 get_id "$id"
    memolock del --tag t --id "$id"
    get_id "$id" -- echo hello
  done
}

@test "a node in the URL that is down or does not answer is skipped" {
  use_cluster
  start_redis --cluster-enabled yes
  end "$REDIS_PID"
  export MEMOLOCK_STORE=redis+cluster://127.0.0.1:$REDIS_PORT,$cluster
  equal hello "$(get_id x -- echo hello)"
  rm -r store
  equal hello "$(get_id x -- echo other)"
  start_redis --cluster-enabled yes
  kill -STOP "$REDIS_PID"
  rm -r store
  export MEMOLOCK_STORE=redis+cluster://127.0.0.1:$REDIS_PORT,$cluster
  equal hello "$(get_id x --store-timeout 6s -- echo other)"
}

@test "a cluster without a running node is a store error" {
  use_cluster
  get_id x -- echo hello
  local pid
  for pid in "${pids[@]}"; do end "$pid"; done
  refused 'connection refused' get_id x --on-store-error fail -- true
  run -0 --separate-stderr get_id x -- echo own
  equal own "$output"
  one_own_line "$stderr"
}

@test "waiters connected to any node are woken through their shard, and get the outcome" {
  use_cluster
  local i owner
  owner=$(owner x)
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a counted echo held >0.out
  await test -e a.started
  for i in {1..20}; do
    spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted echo own >"$i.out"
  done
  await subscribed "$owner" 20
  release a
  finish_all
  for i in {0..20}; do equal held "$(<"$i.out")"; done
  ran_times 1
}

@test "waiters are immediately notified of a failure, a large value and an interrupted run" {
  use_cluster
  export MEMOLOCK_LEASE=1m
  local owner holder waiter
  owner=$(owner x)
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a counted sh -c 'echo no; exit 3'
  holder=$!
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted true >out
  waiter=$!
  await subscribed "$owner" 1
  release a
  finish $waiter
  equal 3 "$status"
  equal no "$(<out)"
  finish $holder

  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held b counted head -c 3000000 /dev/zero >/dev/null
  await test -e b.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted true >out
  waiter=$!
  await subscribed "$owner" 1
  release b
  finish $waiter
  equal 3000000 "$(wc -c <out)"

  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --refresh -- held c counted true
  holder=$!
  await test -e c.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --refresh -- counted echo second >out
  waiter=$!
  await subscribed "$owner" 1
  kill -TERM $holder
  finish $waiter
  equal second "$(<out)"
  ran_times 3
}

@test "a program that uses redis-memolock's scheme completes a promise at any node" {
  use_cluster
  local id
  id=$(id_at 2)
  node 2 set "t/lock:{$id}" somebody px 60000
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- counted true >out
  await subscribed 2 1
  node 2 set "t:{$id}" value px 60000
  node 0 publish "t/notif:{$id}" value
  finish_all
  equal value "$(<out)"
  ran_times 0
}

@test "servers without sharded channels work" {
  use_cluster 3 --rename-command SSUBSCRIBE '' --rename-command SPUBLISH ''
  local owner
  owner=$(owner x)
  export MEMOLOCK_LEASE=1m
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a counted sh -c 'echo no; exit 3' >/dev/null
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted true >out
  local waiter=$!
  subscribed_plainly() { (($(node "$owner" client list | grep -c ' sub=2 ') == 1)); }
  await subscribed_plainly
  release a
  finish $waiter
  equal 3 "$status"
  equal no "$(<out)"
  ran_times 1
}

@test "waiters get a success even if the servers do not know sharded channels at all" {
  use_cluster 1 --rename-command SSUBSCRIBE '' --rename-command SPUBLISH '' --rename-command SUNSUBSCRIBE ''
  export MEMOLOCK_LEASE=1m
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a counted echo held >/dev/null
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted true >out 2>err
  subscribed_plainly() { (($(node 0 client list | grep -c ' sub=2 ') == 1)); }
  await subscribed_plainly
  release a
  finish_all
  equal held "$(<out)"
  is_empty err
  ran_times 1
  run -0 memolock doctor --tag t
  lacks "$output" FAIL
}

@test "waiters check once per lease where RESP3 is refused" {
  use_cluster 1 --rename-command HELLO ''
  export MEMOLOCK_LEASE=10s
  spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- held a counted echo held >/dev/null
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get -v --tag t --id x --ttl 1h -- counted true >out 2>err
  await grep -q 'once per lease' err
  release a
  finish_all
  equal held "$(<out)"
  ran_times 1
  memolock doctor --tag t | grep -q '^advice .*HELLO 3 is refused'
}

@test "a command inside the run of its entry is refused, however the id is spelled" {
  use_cluster 1
  run -125 --separate-stderr memolock get --tag t --id x --ttl 1h -- "$MEMOLOCK_BIN" get --tag t --id '{x}' --ttl 1h -- true
  contains "$stderr" deadlock
}

@test "an entry is stored and locked while the node of other slots is down" {
  use_cluster 3 --cluster-require-full-coverage no
  local id
  id=$(id_at 2)
  memolock ls
  end "${pids[0]}"
  echo value | memolock set --tag t --id "$id" --ttl 1h
  equal value "$(get_id "$id" -- false)"
  memolock lock --tag t --id "$id" -- counted true
  ran_times 1
}

@test "ls, show and del find the entries of all nodes" {
  use_cluster
  local n
  for n in {1..30}; do get_id "n$n" -- echo "$n" >/dev/null; done
  memolock get --tag tt --id other --ttl 1h -- true
  equal "$(printf 't\tn%s\n' {1..30} | LC_ALL=C sort)" "$(memolock ls --tag t | cut -f 1,2)"
  equal 31 "$(memolock ls | wc -l)"
  equal 31 "$(memolock ls --json | jq length)"
  memolock show --tag t --id n7 | grep -q fresh
  equal 1 "$(memolock del --tag t --id n7)"
  equal 29 "$(memolock del --all --tag t)"
  equal other "$(memolock ls | cut -f 2)"
}

@test "ls can read as much from a node of a cluster as from a server" {
  use_cluster
  local id
  id=$(id_at 1)
  head -c 2000000 /dev/zero | node 1 -x set "t/lock:{$id}" >/dev/null
  equal "$id" "$(memolock ls -q | cut -f 2)"
}

@test "a waiter follows an entry whose slot moves, and finds the result" {
  use_cluster
  local id
  id=$(id_at 0)
  get_id "$id" -- counted echo hello
  begin_move "$(slot "$id")" 0 1
  tries_again() { grep -q TRYAGAIN "$1"; }
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" -v -v --ttl 1h --store-timeout 40s -- counted echo other >out 2>err
  await tries_again err
  move_keys
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" -v -v --ttl 1h --store-timeout 40s -- counted echo other >out2 2>err2
  await tries_again err2
  end_move
  finish_all
  equal hello "$(<out)"
  equal hello "$(<out2)"
  equal hello "$(get_id "$id" -- counted echo other)"
  equal hello "$(node 1 get "t:{$id}")"
  ran_times 1
}

@test "a request for a single key follows the key while its slot moves" {
  use_cluster
  local id
  id=$(id_at 0)
  # shellcheck disable=SC2016
  # its lock is not renewed while the slot moves
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h --lease 1m -- held a sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >token; exec held b true'
  local holder=$!
  await test -e a.started
  begin_move "$(slot "$id")" 0 1
  move_keys
  release a
  await test -e b.started
  # the request for the lock succeeds; the script that renews it requires all keys in one place
  spawn "$MEMOLOCK_BIN" renew --tag t --id "$id" --token "$(<token)" --store-timeout 40s -v -v 2>err
  local renewal=$!
  tries_again() { grep -q TRYAGAIN err; }
  await tries_again
  end_move
  finish $renewal
  equal 0 "$status"
  release b
  finish $holder
  equal 0 "$status"
}

@test "a slot can move during a run with waiters" {
  use_cluster
  local id slot
  id=$(id_at 0)
  slot=$(slot "$id")
  export MEMOLOCK_LEASE=20s MEMOLOCK_STORE_TIMEOUT=30s
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a counted echo held >holder.out 2>holder.err
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- counted echo own >waiter.out 2>waiter.err
  await subscribed 0 1
  begin_move "$slot" 0 2
  move_keys
  end_move
  # notified by the old node, not by a periodic check
  await subscribed 2 1
  release a
  finish_all
  equal held "$(<holder.out)"
  equal held "$(<waiter.out)"
  is_empty holder.err
  is_empty waiter.err
  equal held "$(node 2 get "t:{$id}")"
  ran_times 1
}

# fails_over COMMAND…: COMMAND disables node 0, which has a replica, while a holder runs and a waiter waits there.
fails_over() {
  export MEMOLOCK_LEASE=20s
  local id holder waiter heir=3
  replicas=1 use_cluster
  id=$(id_at 0)
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a counted echo held >holder.out 2>holder.err
  holder=$!
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- counted echo own >waiter.out 2>waiter.err
  waiter=$!
  await subscribed 0 1
  node 0 wait 1 5000 >/dev/null
  "$@"
  await has_slot $heir "$(node $heir cluster keyslot "t:{$id}")"
  await subscribed $heir 1
  release a
  finish $holder
  equal 0 "$status"
  finish $waiter
  equal 0 "$status"
  equal held "$(<holder.out)"
  equal held "$(<waiter.out)"
  is_empty waiter.err
  equal held "$(node $heir get "t:{$id}")"
  ran_times 1
  equal held "$(get_id "$id" -- counted echo other)"
}

@test "a run and a wait survive a failover: primary killed" {
  fails_over end_first
}
end_first() { end "${pids[0]}"; }

@test "a run and a wait survive a failover: primary stopped" {
  # the waiter has to ask the stopped node and then others within its lease
  MEMOLOCK_STORE_TIMEOUT=4s fails_over stop_first
  kill -CONT "${pids[0]}"
}
stop_first() { kill -STOP "${pids[0]}"; }

@test "a run and a wait survive a failover: primary demoted" {
  fails_over demote_first
}
demote_first() { node 3 cluster failover >/dev/null; }

@test "users and passwords work, and neither is shown" {
  node() { redis-cli -s "${sockets[$1]}" --no-auth-warning -a secret "${@:2}"; }
  redis() { redis-cli -s "$REDIS_SOCKET" --no-auth-warning -a secret "$@"; }
  start_cluster 3 --requirepass secret
  export MEMOLOCK_STORE=redis+cluster://$cluster
  local id
  id=$(id_at 2)
  run -125 --separate-stderr get_id "$id" -v -v --on-store-error fail -- echo hello
  contains "$stderr" NOAUTH
  export MEMOLOCK_REDIS_PASSWORD=secret
  run -0 --separate-stderr get_id "$id" -v -v -- echo hello
  equal hello "$output"
  lacks "$stderr" secret
  ! grep -r secret store || fail 'the password is in a file'
}

@test "TLS works with each node, and the names of nodes are verified" {
  make_certificates certificates
  export REDIS_CERTIFICATES=$PWD/certificates
  use_cluster
  export MEMOLOCK_STORE=rediss+cluster://$cluster
  local id
  id=$(id_at 2)
  run -125 --separate-stderr get_id "$id" --on-store-error fail -- echo hello
  contains "$stderr" certificate
  export MEMOLOCK_TLS_CA=$REDIS_CERTIFICATES/ca.pem
  equal hello "$(get_id "$id" -- counted echo hello)"
  equal hello "$(get_id "$id" -- counted echo other)"
  run -0 memolock doctor --tag t
  contains "$output" "the server's certificate is valid"
  ran_times 1
  refused 'issued for another host name' get_id "$id" --tls-server-name other.example --on-store-error fail -- true
}

@test "the least ACL rule is sufficient" {
  use_cluster
  local i rule
  rule=$(memolock doctor --tag t --json | jq -r .acl_rule)
  contains "$rule" '+cluster|slots'
  for i in 0 1 2; do
    # shellcheck disable=SC2086
    node "$i" acl setuser worker on nopass $rule >/dev/null
  done
  export MEMOLOCK_STORE=redis+cluster://worker@$cluster
  local id
  id=$(id_at 2)
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- held a counted echo held >out
  await test -e a.started
  spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl 1h -- counted true >waiter.out
  await subscribed 2 1
  release a
  finish_all
  equal held "$(<waiter.out)"
  equal 1 "$(memolock ls --tag t | wc -l)"
  equal 1 "$(memolock del --all --tag t)"
  run -0 memolock doctor --tag t
  lacks "$output" FAIL
}

@test "doctor checks every node and the slots" {
  use_cluster
  run -0 memolock doctor --tag t
  contains "$output" '3 primaries serve all slots'
  local i
  for i in 0 1 2; do contains "$output" "127.0.0.1:${ports[i]} answers"; done
  lacks "$output" FAIL
  contains "$output" "without a replica: $cluster"
  end "${pids[1]}"
  export MEMOLOCK_STORE_TIMEOUT=6s # the cluster will be down
  run -1 memolock doctor --tag t
  contains "$output" "127.0.0.1:${ports[1]}: connection refused"
  run -1 memolock doctor --tag t --store "redis://127.0.0.1:${ports[0]}"
  contains "$output" 'write redis+cluster://'
}

@test "doctor reports slots without a node" {
  use_cluster 3 --cluster-require-full-coverage no
  local slot
  slot=$(slot x)
  # a node that has not received the news yet can restore the slot
  forgotten() {
    local i
    for i in 0 1 2; do node "$i" cluster delslots "$slot" >/dev/null; done
    for i in 0 1 2; do [[ $(node "$i" cluster info) == *cluster_slots_assigned:16383* ]] || return; done
  }
  await forgotten
  export MEMOLOCK_STORE_TIMEOUT=6s
  run -1 memolock doctor --tag t
  contains "$output" '1 of 16384 slots have no node'
  refused CLUSTERDOWN get_id x --on-store-error fail -- true
}

@test "doctor reports a server that is not part of a cluster" {
  start_redis
  export MEMOLOCK_STORE=redis+cluster://127.0.0.1:$REDIS_PORT
  run -1 memolock doctor --tag t
  contains "$output" 'write redis://'
}

@test "an invalid URL of a cluster is refused" {
  local url
  for url in redis+cluster:// redis+cluster:///1 redis+cluster://h/1 'redis+cluster://h,,' redis+cluster://h:0 \
    'redis+cluster://h?x=1' 'redis+cluster://h,:7'; do
    refused "the store's URL" get_id x --store "$url" -- true
  done
}
