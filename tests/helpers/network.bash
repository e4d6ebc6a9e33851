# Simulated machines that can be disconnected from each other: `load helpers/network`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# make_network N: makes network namespaces 0 to N - 1, the machines, which are connected by one switch. The array
# hosts has their addresses. Skips the test if that is not permitted.
make_network() {
  local i
  network=memolock.$$.$BATS_TEST_NUMBER
  hosts=()
  ip netns add "$network" 2>/dev/null || skip 'network namespaces cannot be created here'
  ip -n "$network" link add switch type bridge 2>/dev/null || skip 'no network bridge can be made here'
  ip -n "$network" link set switch up
  for ((i = 0; i < $1; ++i)); do add_machine "$i"; done
}

add_machine() {
  hosts[$1]=10.213.0.$(($1 + 1))
  ip netns add "$network.$1"
  ip -n "$network" link add "port$1" type veth peer name net netns "$network.$1"
  plug_in "$1"
  ip -n "$network.$1" link set lo up
}
plug_in() {
  ip -n "$network" link set "port$1" master switch up
  ip -n "$network.$1" addr add "${hosts[$1]}/24" dev net
  ip -n "$network.$1" link set net up
}

# lay_wire I: connects that machine with a cable whose quality can be reduced. Skips the test if that is not possible.
lay_wire() {
  [[ -w /dev/net/tun ]] || skip "no network device of a test's own can be made here"
  mkfifo "$BATS_TEST_TMPDIR/wire"
  exec {wire_end}<>"$BATS_TEST_TMPDIR/wire"
  ip -n "$network.$1" link del net
  spawn ip netns exec "$network" "$HELPERS/wire" "port$1" "far$1" <"$BATS_TEST_TMPDIR/wire" {wire_end}>&-
  await has_link "far$1"
  ip -n "$network" link set "far$1" netns "$network.$1" name net
  plug_in "$1"
}

has_link() { ip -n "$network" link show "$1" &>/dev/null; }

# wire DELAY LOSS DELAY LOSS: the delay in milliseconds and the loss in percent, from now on, of packets to the
# machine at the cable, and of packets from it.
wire() { echo "$*" >&"$wire_end"; }

# within I COMMAND…: runs the command on that machine.
within() { ip netns exec "$network.$1" "${@:2}"; }

# unplug I, plug I: in between, packets to and from that machine are silently lost.
unplug() { ip -n "$network" link set "port$1" down; }
plug() { ip -n "$network" link set "port$1" up; }

# remove_network: to be called at the end of a test, when its processes have ended.
remove_network() {
  local name
  [[ -n ${network-} ]] || return 0
  for name in $(ip netns list | awk -v of="$network" '$1 == of || index($1, of ".") == 1 { print $1 }'); do
    ip netns del "$name"
  done
}
