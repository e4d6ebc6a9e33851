#!/usr/bin/env bats
# Callers that are killed, interrupted and suspended, on a store with all kinds of faults. `./dev prove` runs each test
# by its name.
# store: none

load ../helpers/common
load ../helpers/prove
load ../helpers/network

setup_file() { :; }
setup() {
  isolate
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
}
teardown() {
  end_all
  remove_network
}

# torment COMMAND…: runs random ones of these commands until the callers have ended.
torment() {
  while ! is_gone "$load_pid"; do
    "${@:1+RANDOM%$#:1}"
    sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  done
}

# ---- a directory ----

@test "local" {
  small_disk size=64M
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/small/store
  begin_load --nemesis --lease 0 --store-timeout 0
  torment fill_disk remove_store
  end_load
}

fill_disk() {
  fault outage
  head -c 64M /dev/zero >small/filler 2>/dev/null || true
  sleep "0.$((RANDOM % 10))"
  rm small/filler
  heal
}
remove_store() {
  fault emptied
  rm -rf "$MEMOLOCK_CACHE_DIR" || true # another process can be creating a file in it
  fault emptied                        # the removal takes a while
}

# A server does not use the callers' clock for its entries, so a jump explains nothing there.
@test "clock" {
  export MEMOLOCK_BIN=$DYNAMIC_BIN
  echo +0 >clock
  clock=0
  begin_load --nemesis --clock clock --lease 0 --store-timeout 0
  torment set_clock
  end_load
  start_redis
  # shellcheck disable=SC2034 # the helper's
  sockets=("$REDIS_SOCKET")
  export MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
  begin_load --nemesis --clock clock
  torment set_clock
  end_load
}

# By more than the maximum age of an entry, and not twice during a run, since its start would then seem wrong.
set_clock() {
  local ahead=(+0 +7200 -7200 +400000000)
  clock=$(((clock + 1 + RANDOM % 3) % 4))
  fault jump
  echo "${ahead[clock]}" >clock.new
  mv clock.new clock
  sleep 1
}

# ---- one server ----

@test "redis" {
  start_redis
  # shellcheck disable=SC2034 # the helper's
  sockets=("$REDIS_SOCKET")
  export MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
  begin_load --nemesis
  torment suspend_server restart_server empty_server fill_server hang_up forget_scripts
  end_load
}

suspend_server() {
  fault outage
  kill -STOP "$REDIS_PID"
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  kill -CONT "$REDIS_PID"
  heal
}
restart_server() {
  fault emptied
  fault outage
  end "$REDIS_PID"
  sleep "0.$((RANDOM % 10))"
  start_redis_again
  heal
}
empty_server() {
  fault emptied
  redis flushall >/dev/null
}
fill_server() {
  fault outage
  redis config set maxmemory 1 >/dev/null
  sleep "0.$((RANDOM % 10))"
  redis config set maxmemory 0 >/dev/null
  heal
}
hang_up() {
  fault outage
  redis client kill skipme yes type normal >/dev/null
  redis client kill type pubsub >/dev/null
  heal
}
forget_scripts() { redis script flush >/dev/null; }

# ---- one server, with callers on three other machines ----

@test "network" {
  make_network 4
  lay_wire 0
  # shellcheck disable=SC2034 # the helpers'
  server_within=(ip netns exec "$network.0")
  start_redis --bind 127.0.0.1 "${hosts[0]}" --protected-mode no
  # shellcheck disable=SC2034
  sockets=("$REDIS_SOCKET")
  export MEMOLOCK_STORE=redis://${hosts[0]}:$REDIS_PORT
  begin_load --nemesis --networks "$network.1,$network.2,$network.3"
  torment lose_all lose_requests lose_answers lose_some slow_down cut_off_one suspend_server
  end_load
}

# for_a_while FAULT DELAY LOSS DELAY LOSS: applies this to the server's cable, for less or more than a lease.
for_a_while() {
  fault "$1"
  wire "${@:2}"
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  wire 0 0 0 0
  heal
}
lose_all() { for_a_while outage 0 100 0 100; }
lose_requests() { for_a_while outage 0 100 0 0; }
lose_answers() { for_a_while outage 0 0 0 100; }
lose_some() { for_a_while outage 0 20 0 20; }
slow_down() { for_a_while delay 100 0 100 0; }
cut_off_one() {
  local one=$((1 + RANDOM % 3))
  fault outage
  unplug "$one"
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  plug "$one"
  heal
}

# ---- sentinels ----

@test "sentinel" {
  load ../helpers/sentinel
  # shellcheck disable=SC2034 # the helper's: a busy machine is no reason to change the server
  sentinel_patience=1500
  start_service
  export MEMOLOCK_STORE=redis+sentinel://$service
  begin_load --nemesis
  torment lose_primary suspend_primary hand_over
  end_load || fail "$(grep -h 'switch-master' "$BATS_TEST_TMPDIR"/sentinel.*/log)"
}

lose_primary() {
  local lost
  lost=$(primary)
  fault failover
  end "${pids[lost]}"
  await all_have_moved_from "$lost"
  heal
  revive "$lost"
  await in_step
}
suspend_primary() {
  local lost
  lost=$(primary)
  fault failover
  kill -STOP "${pids[lost]}"
  await all_have_moved_from "$lost"
  heal
  kill -CONT "${pids[lost]}"
  await in_step
}
hand_over() {
  local from
  from=$(primary)
  fault failover
  sentinel 0 sentinel failover main >/dev/null
  await all_have_moved_from "$from"
  heal
  await in_step
}

# revive I: restarts a killed node at its old address.
revive() {
  REDIS_SOCKET=${sockets[$1]}
  start_redis_again --port "${ports[$1]}" "${node_options[@]}"
  pids[$1]=$REDIS_PID
}
node_options=()

in_step() {
  local now
  now=$(primary)
  [[ -n $now ]] && replicas_are_in_step "$now" 2
}

# ---- a cluster ----

@test "cluster" {
  load ../helpers/cluster
  replicas=1 start_cluster 3
  export MEMOLOCK_STORE=redis+cluster://$cluster
  # shellcheck disable=SC2154 # the helper's
  node_options=(--cluster-enabled yes --cluster-node-timeout 1000 --cluster-replica-validity-factor 0
    --repl-diskless-sync-delay 0)
  begin_load --nemesis
  torment move_slots lose_node demote
  end_load
}

# move_slots: moves the slots of three ids to the next node that has slots.
move_slots() {
  local n slot from to
  fault move
  for n in 1 4 7; do
    slot=$(node 0 cluster keyslot "prove:{i$n.$load_name}")
    from=$(owner_of "$slot")
    to=$(next_primary "$from")
    begin_move "$slot" "$from" "$to"
    move_keys
    end_move
  done
  heal
}
next_primary() {
  local i
  for ((i = ($1 + 1) % 6; i != $1; i = (i + 1) % 6)); do
    [[ $(node "$i" role | head -n 1) != master ]] || break
  done
  echo "$i"
}
lose_node() {
  local lost
  lost=$(owner_of "$(node 0 cluster keyslot "prove:{i1.$load_name}")")
  fault failover
  end "${pids[lost]}"
  await has_heir "$lost"
  heal
  revive "$lost"
  await nodes_agree
}
has_heir() { owner_of "$(node $((($1 + 1) % 6)) cluster keyslot "prove:{i1.$load_name}")" >/dev/null; }
demote() {
  local lost
  lost=$(owner_of "$(node 0 cluster keyslot "prove:{i1.$load_name}")")
  fault failover
  node $(((lost + 3) % 6)) cluster failover >/dev/null
  await nodes_agree
  heal
}
