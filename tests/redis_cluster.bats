#!/usr/bin/env bats
# A cluster: the right node, found again when it changes; all masters for what concerns a whole tag.

load helpers/common
load helpers/cluster

setup_file() { :; }
teardown_file() { :; }
setup() {
  isolate
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
}

use_cluster() {
  start_cluster 3 "$@"
  export MEMOLOCK_STORE=redis+cluster://$cluster
}

@test "a miss and a hit at each node, all keys of an entry in one slot" {
  use_cluster
  local n id
  for n in 0 1 2; do
    id=$(id_at "$n")
    run -0 --separate-stderr memolock get --tag t --id "$id" --ttl 1h -- counted echo "hello $n"
    equal "hello $n" "$output"
    equal '' "$stderr"
    run -0 --separate-stderr memolock get --tag t --id "$id" --ttl 1h -- counted echo other
    equal "hello $n" "$output"
    equal '' "$stderr"
    equal "hello $n" "$(node "$n" get "t:{$id}")"
    equal $'t/meta:{'"$id"$'}\nt:{'"$id}" "$(node "$n" --raw keys '*' | sort)"
  done
  ran_times 3
}
