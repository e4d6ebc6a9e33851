# The base of every test file: `load helpers/common`.
# shellcheck shell=bash disable=SC2154 # status, output, stderr come from bats

bats_require_minimum_version 1.5.0

helpers=$(readlink -f -- "${BASH_SOURCE[0]%/*}")
load "$helpers/redis"

# project_version: prints the version in CMakeLists.txt.
project_version() { sed -n 's/^project(memolock VERSION \([0-9.]*\).*/\1/p' "$helpers/../../CMakeLists.txt"; }

# ---- the store: the one place that knows where a test's entries and locks live ----

# MEMOLOCK_TEST_STORE says which store the tests run on: local, or redis with a server for each file.
on_redis() { [[ ${MEMOLOCK_TEST_STORE-local} == redis ]]; }

setup_file() {
  on_redis || return 0
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR start_redis --port 0
  export REDIS_SOCKET REDIS_PID
}

teardown_file() {
  [[ -z ${REDIS_PID-} ]] || end "$REDIS_PID"
}

# use_store: gives the test an empty store.
use_store() {
  # on Redis too, for the counters; the fallback store is elsewhere
  export MEMOLOCK_CACHE_DIR=$BATS_TEST_TMPDIR/store
  on_redis || return 0
  export MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
  patient
  await nobody_is_connected
  redis flushall >/dev/null
  visits=$(visits)
}

# patient: a server on a busy machine may need seconds for an answer. A test of that limit sets its own.
patient() { export MEMOLOCK_STORE_TIMEOUT=${MEMOLOCK_STORE_TIMEOUT:-30s}; }

# short_lease: for a test whose holders die. A server notices that when their lease ends. The lease of a holder that
# lives is renewed after a third of it, so a process can stop for 5 s without losing it.
short_lease() { export MEMOLOCK_LEASE=8s; }

# bury PID: kills a holder, and waits until its lock is free.
bury() {
  end "$1"
  await nobody_holds
}
nobody_holds() {
  local held
  if on_redis; then
    held=$(redis eval "$held_on_server" 0) && [[ -z $held ]]
  else
    held=$(memolock ls) && [[ $held != *$'\trunning\t'* ]]
  fi
}

# The locks that are held. A released marker is not a held lock.
held_on_server='
local held = {}
for _, name in ipairs(redis.call("KEYS", "*/lock:*")) do
  if redis.call("GET", name) ~= "released" then table.insert(held, name) end
end
return held'

# holder: the token in the lock of t:x on the server; nothing if the lock is free.
holder() { redis eval 'local t = redis.call("GET", KEYS[1]); return t ~= "released" and t' 1 t/lock:x; }

# store_is_empty: asserts that there are no entries and locks, not even the directory of a tag. Ignores counters.
store_is_empty() {
  if on_redis; then
    equal 0 "$(redis dbsize)"
  else
    equal '' "$(find "$MEMOLOCK_CACHE_DIR" -mindepth 1 \( -name '.*' -prune -o -print \))"
  fi
}

# store_is_untouched: asserts that no process has even looked into the store.
store_is_untouched() {
  if on_redis; then
    equal $((visits + 1)) "$(visits)"
  else
    [[ ! -e $MEMOLOCK_CACHE_DIR ]] || fail 'there is a store'
  fi
}

# visits: how many connections the server has accepted, including this one.
visits() { redis info stats | awk -F '[:\r]' '/^total_connections_received/ { print $2 }'; }

# store_is_clean: asserts that only entries are left, and no lock, run or temporary file.
store_is_clean() {
  local left
  if on_redis; then
    await nobody_is_connected
    left=$(redis eval "$left_on_server" 0)
  elif [[ -d $MEMOLOCK_CACHE_DIR ]]; then
    left=$(find "$MEMOLOCK_CACHE_DIR" -mindepth 1 \( -name '.*' -prune -o \
      ! -type d ! -name '*.entry' ! -name '*.failed' ! -name '*.mark' -print \) 2>/dev/null) || true
  fi
  [[ -z $left ]] || fail "left behind: $left"
}

nobody_is_connected() { (($(redis client list | wc -l) == 1)); }

# The keys of locks that are held and of values that are being uploaded, and the keys without an expiry whose entry
# does not have the ttl `forever`.
left_on_server='
local left = {}
for _, name in ipairs(redis.call("KEYS", "*")) do
  local tag, id = name:match("^([^:]*):(.*)$")
  tag = tag or ""
  if tag:match("/lock$") and redis.call("GET", name) == "released" then
    if redis.call("PTTL", name) < 0 then table.insert(left, name .. " (for good)") end
  elseif tag:match("/lock$") or tag:match("/part$") then
    table.insert(left, name)
  elseif redis.call("PTTL", name) == -1 then
    local meta = tag:gsub("/meta$", ""):gsub("/files$", "") .. "/meta:" .. (id or "")
    if redis.call("HGET", meta, "ttl") ~= "-1" then table.insert(left, name .. " (for good)") end
  end
end
return left'

# ---- set-up ----

# isolate: hides the caller's settings, and everything on the machine except the system's files.
isolate() {
  local name
  for name in "${!MEMOLOCK_@}"; do [[ $name == MEMOLOCK_@(BIN|TEST_STORE|PROVE_SECONDS) ]] || unset "$name"; done
  export TERM=xterm HOME=$BATS_TEST_TMPDIR/home
  export XDG_CONFIG_HOME=$HOME/config XDG_CACHE_HOME=$HOME/cache XDG_RUNTIME_DIR=$HOME/runtime
  export RUNS=$BATS_TEST_TMPDIR/runs
  export PATH=$helpers/bin:$PATH
  mkdir -p "$HOME"
  : >"$RUNS"
  cd "$BATS_TEST_TMPDIR" || return
}

setup() {
  isolate
  use_store
}

# end_all: ends what a test has started, and unmounts what it has mounted. To be called by the teardown of a file that
# has its own.
end_all() {
  local pid
  for pid in "${spawned[@]}" "${servers[@]}"; do end "$pid"; done
  ! mountpoint -q "$BATS_TEST_TMPDIR/small" || umount "$BATS_TEST_TMPDIR/small"
}

teardown() { end_all; }

# small_disk OPTIONS: mounts a tmpfs with these options on the directory `small`.
small_disk() {
  mkdir small
  mount -t tmpfs -o "$1,mode=700" tmpfs "$PWD/small" 2>/dev/null || skip 'cannot mount a tmpfs here'
}

# read_only_store: makes the directory `store`, to which its owner cannot write. "${as_user[@]}" ./memolock.copy runs
# memolock as the owner, who is not root, since root can write anywhere.
read_only_store() {
  local uid=$((400000 + RANDOM))
  mkdir store
  chmod 500 store
  # shellcheck disable=SC2034 # the caller uses it
  as_user=()
  if ((EUID == 0)); then
    chown "$uid" store
    chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
    # shellcheck disable=SC2034
    as_user=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)
    cp "$MEMOLOCK_BIN" memolock.copy
  else
    ln -s "$MEMOLOCK_BIN" memolock.copy
  fi
}

# deep_tree DIRECTORY N [TEXT]: makes N nested directories in it, and a file in the innermost one. Uses descriptors:
# the path may be longer than the kernel accepts, and a shell would resolve all of it at each step.
deep_tree() {
  /usr/bin/python3 -c '
import os, sys
os.makedirs(sys.argv[1], exist_ok=True)
here = os.open(sys.argv[1], os.O_RDONLY)
for _ in range(int(sys.argv[2])):
    try: os.mkdir("d", dir_fd=here)
    except FileExistsError: pass
    below = os.open("d", os.O_RDONLY, dir_fd=here)
    os.close(here)
    here = below
with open("file", "w", opener=lambda name, flags: os.open(name, flags, dir_fd=here)) as file:
    print((sys.argv + ["text"])[3], file=file)
' "$@"
}

# change_byte FILE AT [BITS]: flips these bits of the byte at that offset; default: all.
change_byte() {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf '%b' "\\0$(printf %o $((byte ^ ${3-255})))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# ---- running memolock ----

memolock() { "$MEMOLOCK_BIN" "$@"; }

# is_sanitized [asan|tsan]: whether memolock was built with a sanitizer, or with this one.
is_sanitized() { grep -qaE "__(${1-asan|tsan})_init" "$MEMOLOCK_BIN"; }

# needs_vfork: skips a test of the message about a command that cannot be started, if that cannot work.
needs_vfork() { ! is_sanitized tsan || skip 'the thread sanitizer makes vfork a fork'; }

# get OPTION… [--] COMMAND…: `get` of t:x, the entry that most tests use, kept forever.
get() { memolock get --tag t --id x --ttl forever "$@"; }

# put_on_path FILE…: puts a directory with memolock, under its name, and these files at the front of PATH.
put_on_path() {
  local file
  mkdir bin
  ln -s "$MEMOLOCK_BIN" bin/memolock
  for file in "$@"; do ln -s "$(realpath "$file")" bin; done
  export PATH=$PWD/bin:$PATH
}

# spawn COMMAND…: runs it in the background, without a controlling terminal and with the default action for every
# signal (a script's background jobs ignore INT and QUIT). $! is the pid of the command itself.
spawned=()
declare -gA births=()
spawn() {
  setsid env --default-signal "$@" <&0 3>&- &
  also_end $!
}

# spawn_server COMMAND…: spawns a process for which finish_all does not wait. It is ended with the test.
servers=()
spawn_server() {
  spawn "$@"
  unset 'spawned[-1]'
  servers+=($!)
}

# spawn_get OPTION… [--] COMMAND…: `get` in the background.
spawn_get() { spawn "$MEMOLOCK_BIN" get --tag t --id x --ttl forever "$@"; }

# finish PID: waits for a spawned process, and sets $status to its exit status.
finish() {
  status=0
  wait "$1" 2>/dev/null || status=$?
}

# end PID: kills a spawned process, and waits until it has ended. A process that has already ended is not killed: its
# pid may belong to another process by now.
end() {
  [[ $(birth_of "$1") != "${births[$1]?is not to be ended by this test}" ]] || kill -KILL "$1" 2>/dev/null || true
  finish "$1"
}

# also_end PID…: registers processes that were not started by `spawn`, so that they are ended with the test.
also_end() {
  local pid
  for pid; do
    spawned+=("$pid")
    births[$pid]=$(birth_of "$pid")
  done
}

# birth_of PID: when the process was started, in clock ticks; nothing if there is no such process.
birth_of() {
  local stat fields
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
  read -ra fields <<<"${stat##*) }"
  printf %s "${fields[19]}"
}

# finish_all: waits for all spawned processes; fails unless all ended with status 0.
finish_all() { ended_well "${spawned[@]}"; }

# finish_waiters: the same for all but the first, which is the holder.
finish_waiters() { ended_well "${spawned[@]:1}"; }

# ended_well PID…
ended_well() {
  local pid
  for pid; do
    finish "$pid"
    ((status == 0)) || fail "process $pid ended with $status"
  done
}

# hold_unseen ID: a process holds the lock of t:ID without a run that others could see.
hold_unseen() {
  local lock
  # shellcheck disable=SC2016 # expanded by the command
  lock=$(memolock lock --tag t --id "$1" -- sh -c 'find "$MEMOLOCK_CACHE_DIR" -name "*.lock" | grep "$0"' "$1")
  install -m 600 /dev/null "$lock"
  spawn python3 -c 'import fcntl, os, struct, sys, time
with open(sys.argv[1], "r+b") as lock:
    fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    open("unseen", "w").close()
    time.sleep(300)' "$lock"
  await test -e unseen
}

# release NAME: lets `held NAME` continue.
release() { : >"$1.go"; }

# ---- conditions ----

# a FIFO to which nothing is ever written: a read of it with a timeout is a pause that needs no process
never=$BATS_RUN_TMPDIR/never
[[ -p $never ]] || mkfifo "$never"

# touch_after FILE OTHER: sets the time of the file to now, and to later than that of the other file: the kernel's clock
# for files advances in steps.
touch_after() { await touched_after "$@"; }
touched_after() { touch "$1" && [[ $1 -nt $2 ]]; }

# await COMMAND…: waits until the command succeeds; fails after $patience seconds (default: 60). Looks every 10 ms at
# first and every 80 ms in the end, since on a busy machine the looks themselves delay what is awaited.
await() {
  local deadline=$((SECONDS + ${patience:-60})) pause=10
  until "$@"; do
    ((SECONDS < deadline)) || {
      fail "timed out waiting for: $*"
      return 1
    }
    read -rt "0.0$pause" <>"$never" || true
    ((pause == 80)) || pause=$((2 * pause))
  done
}

# unchanged COMMAND…: whether the output of the command stays the same for a second. `await unchanged` waits until some
# activity has ended; it fails if that never ends.
unchanged() {
  local before
  before=$("$@")
  sleep 1
  [[ $("$@") == "$before" ]]
}

# runs: how often `counted` has run.
runs() { wc -l <"$RUNS"; }

# ran N: whether `counted` has run N times.
ran() { (($(runs) == $1)); }

# is_gone PID: whether the process has ended. It may still be a zombie.
is_gone() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  [[ ${stat##*) } == Z* ]]
}

# is_running ID: whether `ls` shows a run of this id.
is_running() { memolock ls | grep -q "	$1	running	"; }

# began_to_wait N PATTERN: whether processes of memolock -v have begun to wait N times in total. PATTERN matches the
# files with their stderr. It is expanded here, since these files may not exist before.
began_to_wait() {
  # shellcheck disable=SC2086
  (($(cat $2 2>/dev/null | grep -c ': waiting for') == $1))
}

# is_asleep PID: whether the process is in state S.
is_asleep() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null)
  [[ ${stat##*) } == S* ]]
}

# has_open PID NAME: whether the process has a file of this name open.
has_open() { [[ -n $(find "/proc/$1/fd" -lname "*/$2" 2>/dev/null) ]]; }

# fifos PID: the descriptors of the process that are FIFOs of runs that have not ended.
fifos() { find "/proc/$1/fd" -lname '*.wake' -printf '%f\n' 2>/dev/null; }

# sockets PID: the inodes of the sockets of the process.
sockets() { find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n'; }

# connection PID: what CLIENT LIST reports about the connection of this process.
connection() {
  local inode peer descriptor
  for inode in $(sockets "$1"); do
    peer=$(ss -xH | awk -v inode="$inode" '$6 == inode { print $8 }')
    descriptor=$(find "/proc/$REDIS_PID/fd" -lname "socket:\[$peer\]" -printf '%f\n' 2>/dev/null)
    [[ -z $descriptor ]] || redis client list | grep " fd=$descriptor "
  done
}

# is_waiting PID: whether this memolock process is waiting for another's run: it is asleep, and has the FIFO of the
# run open for reading only or is subscribed to the run's channels.
is_waiting() {
  local fd
  is_asleep "$1" || return
  if on_redis; then
    grep -q ' sub=2 ' <<<"$(connection "$1")"
    return
  fi
  for fd in $(fifos "$1"); do
    grep -q '^flags:.*0$' "/proc/$1/fdinfo/$fd" && return
  done
  return 1
}

# listens_at ADDRESS:PORT: whether a process on this machine accepts connections there.
listens_at() { [[ -n $(ss -tlnH "src $1") ]]; }

# a_port: a free port of 127.0.0.9, with its address.
a_port() {
  local at
  until at=127.0.0.9:$((20000 + RANDOM % 10000)) && ! listens_at "$at"; do :; done
  echo "$at"
}

# ---- at a terminal ----

# on_terminal COLUMNS COMMAND…: prints what the command shows on a terminal of that width, without carriage returns.
on_terminal() {
  script -qec "stty cols $1; ${*:2}" /dev/null </dev/null 2>&1 | tr -d '\r'
}

# at_terminal SCRIPT: spawns bash on a terminal to run the script. Keys are written to descriptor 8; the output of the
# terminal is in the file typescript. The process $terminal ends when the script ends.
at_terminal() {
  [[ -p keys ]] || mkfifo keys
  exec 8<>keys
  # bash waits for its command before it ends by a signal itself
  SHELL=$(command -v bash) spawn script -qec "$1" /dev/null <&8 >typescript 2>&1
  terminal=$!
}

# stops_and_continues GET: asserts that Ctrl-Z stops this `get` of t:x with its command, and fg continues both.
stops_and_continues() {
  at_terminal "set -m; $1"' sh -c "echo \$\$ >command.pid; until [ -e go ]; do sleep 0.01; done; echo done"; fg; echo status $?'
  await test -s command.pid
  printf '\032' >&8
  await grep -qF ^Z typescript
  : >go
  finish "$terminal"
  contains "$(<typescript)" 'status 0'
  equal 'done' "$(memolock get --tag t --id x)"
}

# ---- what a server counts ----

# at_once LINE…: runs the Redis commands in one transaction, which also resets the server's counters.
at_once() { printf '%s\n' multi "$@" 'config resetstat' exec | redis >/dev/null; }

# renewals: how many scripts the server has run. While no run begins or ends, these are renewals of locks.
renewals() { redis info commandstats | awk -F '[=,]' '/cmdstat_eval(sha)?:/ { n += $2 } END { print n + 0 }'; }

# renewed N: whether there were at least N renewals since the counters were reset.
renewed() { (($(renewals) >= $1)); }

# sees_renewals N: waits for N more renewals.
sees_renewals() {
  redis config resetstat >/dev/null
  await renewed "$1"
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
is_empty() { [[ ! -s $1 ]] || fail "$1 contains: $(head -c 2000 "$1")"; }

# one_own_line TEXT: asserts that it is one line, a message of memolock.
one_own_line() {
  [[ $1 == 'memolock: '* && $1 != *$'\n'* ]] || fail "not one line of memolock's own: $1"
}

# refused PART COMMAND…: asserts status 125, nothing on stdout, and one line on stderr that contains PART.
refused() {
  run --separate-stderr -- "${@:2}"
  equal 125 "$status"
  equal '' "$output"
  one_own_line "$stderr"
  contains "$stderr" "$1"
}
