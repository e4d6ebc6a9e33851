# Name servers and resolver settings for a single test: `load helpers/names`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# own_names: makes a network namespace and an /etc for the test. A command with the prefix own_net runs in the
# namespace, one with the prefix own_etc also with that /etc; a server that start_redis starts afterwards runs there
# too. Name servers listen on port 53, which only root can use. Skips the test if that is not permitted.
own_names() {
  unset RES_OPTIONS LOCALDOMAIN CARES_HOSTS HOSTALIASES
  { ((EUID == 0)) && unshare -mn true 2>/dev/null; } || skip 'mounts and networks are not allowed here'
  # shellcheck disable=SC2016 # expanded by the inner shell
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

# name_server RULE…: starts one more name server, the next in resolv.conf. See name_server.py.
name_server() {
  local address=127.0.53.$((${#name_servers[@]} + 1))
  name_servers+=("$address")
  spawn_server "${own_net[@]}" "$helpers/name_server.py" "$address" "$PWD/log.$address" "$@"
  await test -e "log.$address"
  echo "nameserver $address" >>etc/resolv.conf
}
name_servers=()

# refusing_name_server: adds a name server to resolv.conf that does not run.
refusing_name_server() {
  local address=127.0.53.$((${#name_servers[@]} + 1))
  name_servers+=("$address")
  : >"log.$address"
  echo "nameserver $address" >>etc/resolv.conf
}

# questions: prints "N TYPE NAME TRANSPORT" for each question; N is the number of the name server that was asked, from
# 0. On a busy machine a question may be asked again although it is answered.
questions() {
  local i
  for i in "${!name_servers[@]}"; do sed "s/^[^ ]*/$i/" "log.${name_servers[i]}"; done
}

# asked N LINE: whether that name server was asked this question.
asked() { questions | grep -qx "$1 $2"; }
