# A Redis service that sentinels watch: `load helpers/sentinel`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# start_service [OPTION…]: starts a primary with two replicas, each with the server's options given, and three
# sentinels, which notice a dead primary within seconds. $service is the URL of the store without its scheme: the
# sentinels and the service's name. With $REDIS_CERTIFICATES all of them use TLS among each other and at these ports.
# The arrays sockets, ports and pids have an element for each node. Nodes and sentinels have the addresses in the
# array hosts, if it is set; go_to I is called before node and sentinel I are started.
start_service() {
  local i
  sockets=() ports=() pids=()
  hosts=("${hosts[@]:-127.0.0.1}")
  for i in 0 1 2; do
    hosts[i]=${hosts[i]:-127.0.0.1}
    go_to "$i"
    start_redis --repl-diskless-sync yes --repl-diskless-sync-delay 0 \
      ${REDIS_CERTIFICATES+--tls-replication yes} "$@"
    sockets+=("$REDIS_SOCKET") ports+=("${REDIS_TLS_PORT:-$REDIS_PORT}") pids+=("$REDIS_PID")
  done
  for i in 1 2; do node "$i" replicaof "${hosts[0]}" "${ports[0]}" >/dev/null; done
  await replicas_are_in_step 0 2
  sentinels=() sentinel_ports=() sentinel_pids=()
  for i in 0 1 2; do
    go_to "$i"
    start_sentinel "$i"
  done
  await sentinels_agree
  service=$(for i in 0 1 2; do printf ',%s:%s' "${hosts[i]}" "${sentinel_ports[i]}"; done)/main
  service=${service#,}
}
go_to() { :; }

# start_sentinel I: a sentinel that does not enter TILT when its timer is late, because then it would not act for 30 s.
start_sentinel() {
  local home=$BATS_TEST_TMPDIR/sentinel.$1
  mkdir -p "$home"
  until launch_sentinel "$1" "$home"; do
    grep -q 'Address already in use' "$home/log" || fail "no sentinel: $(cat "$home/log")" || return
  done
  sentinel "$1" sentinel debug tilt-trigger 60000 >/dev/null
}

launch_sentinel() {
  sentinel_ports[$1]=$((10000 + RANDOM % 20000))
  if [[ -n ${REDIS_CERTIFICATES-} ]]; then
    printf '%s\n' "tls-port ${sentinel_ports[$1]}" 'port 0' 'tls-replication yes'
    tls_options
  else
    echo "port ${sentinel_ports[$1]}"
  fi >"$2/conf"
  printf '%s\n' 'bind 127.0.0.1 ::1' "dir $2" \
    "sentinel monitor main ${hosts[0]} ${ports[0]} 2" "sentinel down-after-milliseconds main $sentinel_patience" \
    'sentinel failover-timeout main 3000' 'sentinel parallel-syncs main 2' "${sentinel_extra[@]}" >>"$2/conf"
  # shellcheck disable=SC2016
  spawn_server "${server_within[@]}" bash -c 'exec -a redis-sentinel redis-check-rdb "$1"' - "$2/conf" >"$2/log" 2>&1
  sentinel_pids[$1]=$!
  await sentinel_has_begun "$1"
  ! is_gone "${sentinel_pids[$1]}"
}
sentinel_extra=()      # lines for the configuration
sentinel_patience=4000 # a server that has not answered for this many ms is down, and not one that only stands still

sentinel_has_begun() {
  [[ $(sentinel "$1" ping 2>&1) =~ ^(PONG|NOAUTH) ]] || is_gone "${sentinel_pids[$1]}"
}

# node I WORD…: a server's reply to a command. sentinel I WORD…: the same for a sentinel.
node() { redis-cli -s "${sockets[$1]}" "${@:2}"; }
sentinel() {
  redis-cli -p "${sentinel_ports[$1]}" ${REDIS_CERTIFICATES+--tls --cacert "$REDIS_CERTIFICATES/ca.pem"} "${@:2}"
}

# primary: the index of the server that a majority of the sentinels reports as the primary.
primary() {
  local port i
  port=$(for i in 0 1 2; do sentinel "$i" sentinel get-master-addr-by-name main 2>/dev/null | sed -n 2p; done \
    | sort | uniq -c | sort -rn | awk 'NR == 1 && $1 >= 2 { print $2 }')
  for i in "${!ports[@]}"; do [[ ${ports[i]} != "$port" ]] || echo "$i"; done
}

replicas_are_in_step() { (($(node "$1" info replication | grep -c 'state=online') == $2)); }
sentinels_agree() {
  local i
  for i in 0 1 2; do
    sentinel "$i" sentinel ckquorum main | grep -q '^OK 3 usable' || return
    (($(sentinel "$i" sentinel replicas main | grep -c '^runid$') == 2)) || return
  done
}

# has_moved_from I: whether another server is the primary and reports that itself.
has_moved_from() {
  local now
  now=$(primary)
  [[ -n $now && $now != "$1" && $(node "$now" role | head -n 1) == master ]]
}

# all_have_moved_from I: whether all sentinels report the same other server as the primary. Until then callers may use
# either server, if it also considers itself the primary.
all_have_moved_from() {
  local i now
  has_moved_from "$1" || return
  now=$(sentinel 0 sentinel get-master-addr-by-name main)
  for i in 1 2; do
    [[ $(sentinel "$i" sentinel get-master-addr-by-name main) == "$now" ]] || return
  done
}
