# Machines of a test's own, which can be cut off from each other: `load helpers/network`, after common.
# shellcheck shell=bash disable=SC2034 # what is set here is the tests'

# make_network N: network namespaces 0 to N - 1 at one switch, each with its address in the array hosts. Skips the
# test where that is not permitted.
make_network() {
  local i
  network=memolock.$$.$BATS_TEST_NUMBER
  hosts=()
  ip netns add "$network" 2>/dev/null || skip 'network namespaces cannot be made here'
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

# lay_wire I: from now on that machine has a cable that can be made poor. Skips the test where that is not possible.
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

# wire DELAY LOSS DELAY LOSS: what happens from now on to what is sent to the machine at it, and to what it sends;
# milliseconds and a percentage.
wire() { echo "$*" >&"$wire_end"; }

# within I COMMAND…: runs it on that machine. within is also a prefix for `spawn`.
within() { ip netns exec "$network.$1" "${@:2}"; }

# unplug I, plug I: what is sent to that machine or by it is lost meanwhile, and nobody is told.
unplug() { ip -n "$network" link set "port$1" down; }
plug() { ip -n "$network" link set "port$1" up; }

# remove_network: to be called when a test ends; its processes have ended before.
remove_network() {
  local name
  [[ -n ${network-} ]] || return 0
  for name in $(ip netns list | awk -v of="$network" '$1 == of || index($1, of ".") == 1 { print $1 }'); do
    ip netns del "$name"
  done
}
