#!/usr/bin/env bats
# Many callers while a primary is killed, slots move or the network fails. What they saw is compared with what memolock
# promises. MEMOLOCK_PROVE_SECONDS sets how long the callers of each test run.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/sentinel
load ../helpers/prove
load ../helpers/network

setup_file() { :; }
setup() {
  isolate
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
  # shellcheck disable=SC2034 # the helper's
  prove_seconds=${MEMOLOCK_PROVE_SECONDS:-12} # a failover takes half of that
}
teardown() {
  end_all
  remove_network
}

# begin_load_with_faults [OPTION…]: fewer callers than by default, so that the short tests do not saturate the machine on
# which servers must fail over in time. Without a fault no call can fail, however busy the machine is.
begin_load_with_faults() { begin_load --callers 30 --faults --store-timeout 4 "$@"; }

# await_calls N: so many more calls begin.
await_calls() {
  local enough=$(($(calls) + $1))
  are_enough() { (($(calls) >= enough)); }
  await are_enough
}
calls() { grep -c '"event": "call"' history || true; }

# ---- sentinels ----

use_service() {
  start_service "$@"
  export MEMOLOCK_STORE=redis+sentinel://$service
}

# in_step: whether the other servers are replicas of the primary and have the same data.
in_step() {
  local now
  now=$(primary)
  [[ -n $now ]] && replicas_are_in_step "$now" 2
}

@test "sentinels: the primary is killed, and comes back as a replica" {
  use_service
  begin_load_with_faults
  part 1 4
  fault failover
  end "${pids[0]}"
  await all_have_moved_from 0
  heal
  part 1 4
  REDIS_SOCKET=${sockets[0]}
  start_redis_again --port "${ports[0]}"
  end_load
}

@test "sentinels: the primary is stopped, and continues when it is no longer the primary" {
  use_service
  begin_load_with_faults
  part 1 4
  fault failover
  kill -STOP "${pids[0]}"
  await all_have_moved_from 0
  heal
  part 1 4
  kill -CONT "${pids[0]}"
  patience=180 await in_step
  end_load
}

# ---- clusters ----

# of_cluster: loads the helpers for clusters, some of which have the same names as those for sentinels.
of_cluster() {
  load ../helpers/cluster
  start_cluster "$@"
  export MEMOLOCK_STORE=redis+cluster://$cluster
}

# move_slot SLOT FROM TO
move_slot() {
  begin_move "$@"
  move_keys
  end_move
}

@test "cluster: the slots of all ids move between nodes continuously" {
  of_cluster 3
  begin_load_with_faults
  local n slots=() owners=()
  for n in {0..9}; do
    slots[n]=$(node 0 cluster keyslot "prove:{i$n.$load_name}")
    owners[n]=$(owner_of "${slots[n]}")
  done
  fault move
  while ! is_gone "$load_pid"; do
    for n in {0..9}; do
      move_slot "${slots[n]}" "${owners[n]}" $(((owners[n] + 1) % 3))
      owners[n]=$(((owners[n] + 1) % 3))
    done
  done
  heal
  end_load
}

@test "cluster: a primary is killed, its replica takes over, and a new node becomes its replica" {
  replicas=1 of_cluster 3
  begin_load_with_faults
  part 1 4
  fault failover
  end "${pids[0]}"
  await has_slot 3 0
  heal
  add_node
  node 6 cluster meet 127.0.0.1 "${ports[1]}" >/dev/null
  await node_knows 6 "${ids[3]}"
  node 6 cluster replicate "${ids[3]}" >/dev/null
  end_load
  await nodes_agree
}

# ---- networks ----

@test "a server that is disconnected from its callers for a while, shorter and longer than a lease" {
  make_network 2
  # shellcheck disable=SC2034 # the helpers'
  server_within=(ip netns exec "$network.0") load_within=(ip netns exec "$network.1")
  start_redis --bind 127.0.0.1 "${hosts[0]}" --protected-mode no
  # shellcheck disable=SC2034
  sockets=("$REDIS_SOCKET")
  export MEMOLOCK_STORE=redis://${hosts[0]}:$REDIS_PORT
  begin_load_with_faults --lease 2
  part 1 8
  fault outage
  unplug 0
  # some of the callers have met it
  await_calls 3
  plug 0
  heal
  part 1 4
  fault outage
  unplug 0
  part 3 8
  plug 0
  heal
  end_load
}

# go_to I: from now on servers are started on that machine.
go_to_machine() {
  # shellcheck disable=SC2034
  go_to() { server_within=(ip netns exec "$network.$1"); }
  sentinel() { within "$1" redis-cli -p "${sentinel_ports[$1]}" "${@:2}"; }
}

# primary_is_cut_off I: a server and a sentinel on each of three machines, and the callers on machine I; the primary is
# disconnected, and another server becomes the primary.
primary_is_cut_off() {
  make_network 4
  go_to_machine
  # shellcheck disable=SC2034 # the helpers'
  sentinel_extra=('protected-mode no' 'bind * -::*') load_within=(ip netns exec "$network.$1")
  use_service --bind '* -::*' --protected-mode no
  begin_load_with_faults
  part 1 4
  fault failover
  unplug 0
  await has_moved_from 0
}

@test "sentinels: the primary and its sentinel are disconnected from all others, and reconnected" {
  primary_is_cut_off 3
  heal
  part 1 4
  # Until the other sentinels contact them, both act as before, and callers trust them.
  fault failover
  plug 0
  patience=180 await in_step
  heal
  end_load
}

@test "sentinels: the callers and the primary are disconnected from all others, and reconnected" {
  primary_is_cut_off 0
  part 1 4
  plug 0
  patience=180 await in_step
  heal
  end_load
}
