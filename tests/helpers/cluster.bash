# A Redis cluster: `load helpers/cluster`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# start_cluster PRIMARIES [OPTION…]: starts that many nodes that share the slots, with the server's options given,
# each with one replica if $replicas is 1. $cluster is the URL of the store without its scheme; it names all
# primaries. The arrays sockets, ports, pids and ids have an element for each node, first the primaries, then the
# replicas. With $REDIS_CERTIFICATES nodes use TLS among each other and at their ports.
start_cluster() {
  local i primaries=$1 all
  shift
  all=$((primaries * (1 + ${replicas:-0})))
  sockets=() ports=() pids=() ids=()
  for ((i = 0; i < all; ++i)); do add_node "$@"; done
  for ((i = 0; i < primaries; ++i)); do
    node "$i" cluster set-config-epoch $((i + 1)) >/dev/null
    node "$i" cluster addslotsrange $((16384 * i / primaries)) $((16384 * (i + 1) / primaries - 1)) >/dev/null
  done
  for ((i = 1; i < all; ++i)); do await has_met "$i"; done
  for ((i = primaries; i < all; ++i)); do
    await node_knows "$i" "${ids[i - primaries]}"
    node "$i" cluster replicate "${ids[i - primaries]}" >/dev/null
  done
  await nodes_agree
  cluster=$(for ((i = 0; i < primaries; ++i)); do printf ',127.0.0.1:%s' "${ports[i]}"; done)
  cluster=${cluster#,}
}

# add_node [OPTION…]: starts a node that does not belong to a cluster yet.
add_node() {
  start_redis --cluster-enabled yes --cluster-node-timeout "${node_timeout:-4000}" \
    --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0 \
    ${REDIS_CERTIFICATES+--tls-cluster yes --tls-replication yes} "$@"
  sockets+=("$REDIS_SOCKET") ports+=("${REDIS_TLS_PORT:-$REDIS_PORT}") pids+=("$REDIS_PID")
  ids+=("$(redis cluster myid)")
}

# has_met I: whether node I has joined node 0. Lets it try again: a node gives up if the other one stands still.
has_met() {
  node_knows "$1" "${ids[0]}" && node_knows 0 "${ids[$1]}" && return
  node "$1" cluster meet 127.0.0.1 "${ports[0]}" >/dev/null
  return 1
}

# node I WORD…: a node's reply to a command.
node() { redis-cli -s "${sockets[$1]}" "${@:2}"; }

node_knows() { node "$1" cluster nodes | grep -q "^$2"; }

# nodes_agree: whether all running nodes report a healthy cluster, including replicas, and the same owners of slots.
nodes_agree() {
  local i views=() view
  for i in "${!pids[@]}"; do
    ! is_gone "${pids[i]}" || continue
    [[ $(node "$i" cluster info) == *cluster_state:ok* ]] || return
    [[ $(node "$i" role | head -n 1) == master || $(node "$i" info replication) == *master_link_status:up* ]] || return
    view=$(node "$i" cluster nodes | sed 's/myself,//' | grep -v -e fail -e slave | awk '{ print $1, $9, $10, $11 }' | sort)
    [[ -z ${views[0]-} || $view == "${views[0]}" ]] || return
    views=("$view")
  done
}

# slot ID, owner ID: the slot of the entry t:ID, and the index of the node that has the slot. owner_of SLOT: the same
# for a slot. has_slot NODE SLOT: whether the node says that it has the slot.
slot() { node 0 cluster keyslot "t:{$1}"; }
owner() { owner_of "$(slot "$1")"; }
owner_of() {
  local i
  for i in "${!pids[@]}"; do
    ! is_gone "${pids[i]}" || continue
    has_slot "$i" "$1" && echo "$i" && return
  done
  return 1
}
has_slot() {
  node "$1" cluster nodes | awk -v slot="$2" '$3 ~ /myself/ && $3 ~ /master/ {
    for (i = 9; i <= NF; ++i) { split($i, of, "-"); if (slot >= of[1] && slot <= (of[2] == "" ? of[1] : of[2])) found = 1 }
  } END { exit !found }'
}

# id_at NODE [PREFIX]: an id whose slot the node has.
id_at() {
  local n
  for ((n = 0; ; ++n)); do
    if has_slot "$1" "$(slot "${2-id}$n")"; then
      echo "${2-id}$n"
      return
    fi
  done
}

# begin_move SLOT FROM TO, end_move: begin and end moving a slot. move_keys moves its keys.
begin_move() {
  moving=("$@")
  node "$3" cluster setslot "$1" importing "${ids[$2]}" >/dev/null
  node "$2" cluster setslot "$1" migrating "${ids[$3]}" >/dev/null
}
move_keys() {
  local keys
  while mapfile -t keys < <(node "${moving[1]}" cluster getkeysinslot "${moving[0]}" 100 | grep .) && ((${#keys[@]} > 0)); do
    node "${moving[1]}" migrate 127.0.0.1 "${ports[moving[2]]}" '' 0 60000 keys "${keys[@]}" >/dev/null
  done
}
end_move() {
  local i
  for i in "${moving[2]}" "${moving[1]}"; do
    node "$i" cluster setslot "${moving[0]}" node "${ids[moving[2]]}" >/dev/null
  done
}
