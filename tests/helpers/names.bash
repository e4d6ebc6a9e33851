# Name servers and resolver settings of a test's own: `load helpers/names`, after common.
# shellcheck shell=bash disable=SC2034 # what is set here is the tests'

# own_names: a network namespace and an /etc of the test's own. own_net and own_etc are prefixes for a command, which
# has the one, or both; a server that start_redis starts afterwards is there, too. Name servers are asked at port 53,
# which only root can take. Skips the test where that is not permitted.
own_names() {
  unset RES_OPTIONS LOCALDOMAIN CARES_HOSTS HOSTALIASES
  { ((EUID == 0)) && unshare -mn true 2>/dev/null; } || skip 'mounts and networks are not allowed here'
  # shellcheck disable=SC2016 # the inner shell's
  spawn_server unshare -n sh -c 'ip link set lo up && : >"$0" && exec sleep infinity' "$PWD/has_net"
  own_net=(nsenter "--net=/proc/$!/ns/net")
  await test -e has_net
  # shellcheck disable=SC2016
  own_etc=("${own_net[@]}" unshare -m sh -c 'mount --bind "$0" /etc && exec "$@"' "$PWD/etc")
  server_within=("${own_net[@]}")
  mkdir etc
  echo '127.0.0.1 localhost' >etc/hosts
  : >etc/resolv.conf
}

# name_server RULE…: one more, the next in resolv.conf; see name_server.py.
name_server() {
  local address=127.0.53.$((${#name_servers[@]} + 1))
  name_servers+=("$address")
  spawn_server "${own_net[@]}" "$helpers/name_server.py" "$address" "$PWD/log.$address" "$@"
  await test -e "log.$address"
  echo "nameserver $address" >>etc/resolv.conf
}
name_servers=()

# refusing_name_server: the next in resolv.conf is one that does not run.
refusing_name_server() {
  local address=127.0.53.$((${#name_servers[@]} + 1))
  name_servers+=("$address")
  : >"log.$address"
  echo "nameserver $address" >>etc/resolv.conf
}

# questions: "N TYPE NAME TRANSPORT" of each question, N the number of the name server that was asked, from 0. Where a
# machine is busy a question is asked again, though it is answered.
questions() {
  local i
  for i in "${!name_servers[@]}"; do sed "s/^[^ ]*/$i/" "log.${name_servers[i]}"; done
}

# asked N LINE: whether that name server was asked this.
asked() { questions | grep -qx "$1 $2"; }
