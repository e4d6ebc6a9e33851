# What every test file starts from: `load helpers/common`.
# shellcheck shell=bash disable=SC2154 # status, output, stderr come from bats

bats_require_minimum_version 1.5.0

# ---- the store: the one place that knows where a test's entries and locks live ----

# use_store: a store of the test's own.
use_store() {
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
}

# store_is_clean: no lock, no run and no temporary file is left, only entries.
store_is_clean() {
  local left
  [[ -d $MEMOLOCK_CACHE_DIR ]] || return 0
  left=$(find "$MEMOLOCK_CACHE_DIR" -mindepth 2 ! -name '*.entry' 2>/dev/null)
  [[ -z $left ]] || fail "left behind: $left"
}

# ---- set-up ----

# isolate: nothing of the caller's settings, and nothing of the machine's beyond the system.
isolate() {
  local name
  for name in "${!MEMOLOCK_@}"; do [[ $name == MEMOLOCK_BIN ]] || unset "$name"; done
  export HOME=$BATS_TEST_TMPDIR/home
  export XDG_CONFIG_HOME=$HOME/config XDG_CACHE_HOME=$HOME/cache XDG_RUNTIME_DIR=$HOME/runtime
  export RUNS=$BATS_TEST_TMPDIR/runs
  export PATH=$BATS_TEST_DIRNAME/helpers/bin:$PATH
  mkdir -p "$HOME"
  : >"$RUNS"
  cd "$BATS_TEST_TMPDIR" || return
}

setup() {
  isolate
  use_store
}

teardown() {
  local pid
  for pid in "${spawned[@]}"; do end "$pid"; done
}

# ---- running memolock ----

memolock() { "$MEMOLOCK_BIN" "$@"; }

# get OPTION… [--] COMMAND…: the entry that most tests are about, kept for good.
get() { memolock get --tag t --id x --ttl forever "$@"; }

# spawn COMMAND…: in the background, with no controlling terminal and every signal at its default (the
# background jobs of a script ignore INT and QUIT). $! is the process's own id.
spawned=()
spawn() {
  setsid env --default-signal "$@" <&0 3>&- &
  spawned+=($!)
}

# spawn_get OPTION… [--] COMMAND…: `get` in the background.
spawn_get() { spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl forever "$@"; }

# finish PID: waits for what was spawned; its exit status in $status.
finish() {
  status=0
  wait "$1" 2>/dev/null || status=$?
}

# end PID: kills what was spawned, and waits until it has ended.
end() {
  kill -KILL "$1" 2>/dev/null || true
  finish "$1"
}

# finish_all: waits for all that was spawned; fails unless all ended with 0.
finish_all() {
  local pid
  for pid in "${spawned[@]}"; do
    finish "$pid"
    ((status == 0)) || fail "process $pid ended with $status"
  done
}

# release NAME: lets `held NAME` go on.
release() { : >"$1.go"; }

# ---- conditions ----

# await COMMAND…: until it succeeds, 30 seconds at most.
await() {
  local deadline=$((SECONDS + 30))
  until "$@"; do
    ((SECONDS < deadline)) || {
      fail "in vain awaited: $*"
      return 1
    }
    sleep 0.01
  done
}

# runs: how often `counted` ran.
runs() { wc -l <"$RUNS"; }

# ran N: whether it ran N times.
ran() { (($(runs) == $1)); }

# is_gone PID: whether no such process is left, but perhaps a zombie.
is_gone() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  [[ ${stat##*) } == Z* ]]
}

# is_running ID: whether `ls` shows a run of it.
is_running() { memolock ls | grep -q "	$1	running	"; }

# began_to_wait N PATTERN: whether memolocks with -v, stderr in the files of PATTERN, have begun to wait N
# times in all. The pattern is expanded here, since a file is made by the process that writes it.
began_to_wait() {
  # shellcheck disable=SC2086
  (($(cat $2 2>/dev/null | grep -c ': waiting for') == $1))
}

# is_waiting PID: whether this memolock sleeps until another's run ends: its second thread blocks in a lock.
is_waiting() {
  local tasks=(/proc/"$1"/task/*)
  ((${#tasks[@]} > 1))
}

# ---- assertions ----

fail() {
  printf '%s\n' "$*" >&2
  return 1
}

# equal EXPECTED ACTUAL
equal() { [[ $1 == "$2" ]] || fail "expected: $1"$'\n'"     got: $2"; }

# contains TEXT PART
contains() { [[ $1 == *"$2"* ]] || fail "no '$2' in: $1"; }

# lacks TEXT PART
lacks() { [[ $1 != *"$2"* ]] || fail "'$2' in: $1"; }

# ran_times N: asserts that `counted` ran N times.
ran_times() { equal "$1 runs" "$(runs) runs"; }

# same_bytes FILE FILE
same_bytes() { cmp "$1" "$2" || fail "$1 and $2 differ"; }

# is_empty FILE
is_empty() { [[ ! -s $1 ]] || fail "$1 holds: $(head -c 2000 "$1")"; }

# one_own_line TEXT: exactly one line, and it is memolock's.
one_own_line() {
  [[ $1 == 'memolock: '* && $1 != *$'\n'* ]] || fail "not one line of memolock's own: $1"
}

# refused PART COMMAND…: status 125, nothing on stdout, one line on stderr that names PART.
refused() {
  run --separate-stderr -- "${@:2}"
  equal 125 "$status"
  equal '' "$output"
  one_own_line "$stderr"
  contains "$stderr" "$1"
}
