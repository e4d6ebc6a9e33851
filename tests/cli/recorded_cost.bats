#!/usr/bin/env bats
# The instructions and system calls of a call, compared with tests/cost.record: an increase of more than 5 % fails.
# `./dev cost` updates the record after an intended change.
# bats file_tags=slow

load ../helpers/common
load ../helpers/names

record=${BATS_TEST_DIRNAME:-.}/../cost.record

setup() {
  ! is_sanitized || skip 'built with a sanitizer'
  [[ -s $record ]] || echo "# compiler: $(compiler)" >"$record"
  [[ $(compiler) == "$(sed -n 's/^# compiler: //p' "$record")" ]] || skip 'the record is of another compiler'
  isolate
  use_store
  # an environment in which no call can take more steps on another machine
  lean=(env -i PATH="$PATH" HOME="$HOME" MEMOLOCK_CACHE_DIR="$MEMOLOCK_CACHE_DIR"
    ${MEMOLOCK_STORE+MEMOLOCK_STORE="$MEMOLOCK_STORE" MEMOLOCK_STORE_TIMEOUT=30s})
}

# compiler: of memolock itself; a static program also contains code of the compiler of the libraries.
compiler() {
  grep -aom 1 'clang version [0-9.]*' "$MEMOLOCK_BIN" || grep -aom 1 'GCC: ([^)]*) [0-9.]*' "$MEMOLOCK_BIN"
}

instructions() {
  "${lean[@]}" valgrind --tool=callgrind --callgrind-out-file=/dev/null "$MEMOLOCK_BIN" "$@" 2>&1 >/dev/null \
    | awk '/Collected/ { print $4 }'
}

# calls ARG…: the system calls of memolock and its children, but not those of programs that it executes.
calls() {
  "${lean[@]}" strace -f -qq -o trace "$MEMOLOCK_BIN" "$@" >/dev/null
  calls_in trace
}
calls_in() {
  awk '/ execve\(/ && seen++ { other[$1] = 1 } !other[$1] && !/\+\+\+|---|resumed>/ { n++ } END { print n + 0 }' "$1"
}

# least TIMES COMMAND…: the smallest of this many results, since the order of events varies.
least() {
  local n
  for ((n = 0; n < $1; ++n)); do "${@:2}"; done | sort -n | head -n 1
}

# costs WORK WHAT COUNT
costs() {
  local line="${MEMOLOCK_TEST_STORE-local} $1 $2" most
  [[ $3 =~ ^[1-9][0-9]*$ ]] || fail "no count: $3"
  if [[ -n ${RECORD_COST-} ]]; then
    sed -i "/^$line /d" "$record"
    echo "$line $3" >>"$record"
    return
  fi
  most=$(awk -v line="$line" 'index($0, line " ") == 1 { print int($NF * 1.05) }' "$record")
  (($3 <= ${most:-0})) || fail "$line: $3, and at most $most by the record"
}

@test "a hit" {
  get -- echo small
  costs hit instructions "$(instructions get --tag t --id x)"
  costs hit calls "$(least 5 calls get --tag t --id x)"
}

@test "a hit on a server that is given by its name" {
  on_redis || skip 'a local store has no server'
  own_names
  start_redis
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET get -- echo small
  lean=("${own_etc[@]}" "${lean[@]}" MEMOLOCK_STORE="redis://redis.test:$REDIS_PORT")
  costs hit-by-name calls "$(least 5 calls get --tag t --id x)"
}

@test "a look-up of a missing entry" {
  get --id other -- echo small
  costs absent instructions "$(instructions get --tag t --id x)"
  costs absent calls "$(least 5 calls get --tag t --id x)"
}

@test "a miss" {
  get --id other -- echo small
  # its number of instructions is random: the ends of the command and of its output arrive in any order
  costs miss calls "$(least 20 calls get --tag t --id x --ttl 0 -- /bin/true)"
}

@test "a wait" {
  ! on_redis || skip 'how much of an answer comes at once is chance; requests are counted elsewhere'
  # waits N: the cost of waiting for a run and of replaying its result
  waits() {
    memolock del --all --tag t >/dev/null
    spawn_get -- held "$1" true
    await test -e "$1.started"
    "${lean[@]}" setsid strace -f -qq -o "trace.$1" "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false 3>&- &
    await waits_for $!
    release "$1"
    wait $!
    calls_in "trace.$1"
  }
  waits_for() {
    local pid
    pid=$(pgrep -P "$1") && is_waiting "$pid"
  }
  costs wait calls "$(for n in 1 2 3 4 5; do waits $n; done | sort -n | head -n 1)"
}
