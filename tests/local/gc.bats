#!/usr/bin/env bats
# gc on the local store: what it removes, what it leaves, and that other callers are not affected.
# store: local

load ../helpers/common

teardown() {
  end_all
  rm -rf "/tmp/memolock-$EUID"/gc-test.* ${own_folder+"${own_folder%/*}"}
}

# fallback: prints the directory of callers without a store that `gc` sees, and makes it. It is one of this test where
# that can be mounted, since others on this machine use the shared one at any moment.
fallback() {
  local place=/tmp/memolock-$EUID
  mkdir -m 700 "$place" 2>/dev/null || [[ -d $place ]]
  ! unshare -m true 2>/dev/null || place=$BATS_TEST_TMPDIR/fallback
  mkdir -m 700 "$place" 2>/dev/null || [[ -d $place ]]
  echo "$place"
}

# gc OPTION…
gc() {
  local shared=/tmp/memolock-$EUID own
  own=$(fallback)
  if [[ $own == "$shared" ]]; then
    memolock gc "$@"
  else
    # shellcheck disable=SC2016
    unshare -m sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$own" "$shared" "$MEMOLOCK_BIN" gc "$@"
  fi
}

# keep ID OPTION…: stores an entry of the tag t.
keep() { memolock get --tag t --id "$1" "${@:2}" -- seq 100 >/dev/null; }

# swept FIELD: a number from the report of a gc.
swept() { gc --json "${@:2}" | jq ".$1"; }

# file ID: the file of its entry.
file() { echo "$MEMOLOCK_CACHE_DIR/t/$1.entry"; }

# age ID DAYS: makes its entry look unused for this many days.
age() { touch -d "$2 days ago" "$(file "$1")"; }

# expired [ID]: an entry that a sweep takes.
expired() {
  keep "${1-old}" --ttl 1h
  "$HELPERS/redate" "$(file "${1-old}")" -7200
}
is_swept() { [[ ! -e $(file old) ]]; }

# sweep_on OPTION…: runs gc repeatedly until a file `stop` exists.
sweep_on() {
  # shellcheck disable=SC2016
  spawn bash -c 'while [[ ! -e stop ]]; do "$0" gc "$@" >>sweeps; done' "$MEMOLOCK_BIN" "$@"
}

# names DIRECTORY: the names in it.
names() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | tr '\n' ' '; }

ids() { memolock ls | cut -f 2 | sort | tr '\n' ' '; }

@test "gc without a store creates none" {
  run --separate-stderr -0 gc
  equal 'removed 0 entries and 0 leftovers, 0 B; 0 entries, 0 B left' "$output"
  [[ ! -e $MEMOLOCK_CACHE_DIR ]]
}

@test "gc removes entries that can no longer be served, and nothing else" {
  keep fresh --ttl 1h
  keep forever --ttl forever
  keep expired --ttl 1h
  keep window --ttl 1h --stale 1d
  keep error --ttl 1h --stale-if-error 1d
  for id in fresh forever expired window error; do
    [[ $id == fresh ]] || "$HELPERS/redate" "$(file $id)" -7200
  done
  equal 1 "$(swept entries)"
  equal 'error forever fresh window ' "$(ids)"
  run -0 memolock get --tag t --id fresh
  run -0 memolock get --tag t --id forever
}

@test "gc removes a stored failure that no longer prevents a run" {
  run -3 memolock get --tag t --id x --ttl 1h --cache-failures 1h -- sh -c 'exit 3'
  equal 0 "$(swept entries)"
  "$HELPERS/redate" "$MEMOLOCK_CACHE_DIR/t/x.failed" -3601
  equal 1 "$(swept entries)"
  equal '' "$(memolock ls)"
}

@test "gc removes records dated in the future, unless the difference could be that of clocks" {
  keep x --ttl forever
  run -1 memolock get --tag t --id f --ttl 1h --cache-failures forever -- false
  memolock once --store local --tag t --id m --ttl forever -- true
  for file in x.entry f.failed m.mark; do "$HELPERS/redate" "$MEMOLOCK_CACHE_DIR/t/$file" 120; done
  equal 0 "$(swept entries)"
  for file in x.entry f.failed m.mark; do "$HELPERS/redate" "$MEMOLOCK_CACHE_DIR/t/$file" 3600; done
  equal 3 "$(swept entries)"
}

@test "an entry whose last use is in the future is treated as the least recently used one until it is used" {
  for id in 1 2 3; do
    keep $id --ttl 1h
    age $id $id
  done
  touch -d '2 days' "$(file 1)" "$(file 2)"
  memolock get --tag t --id 2 >/dev/null
  (($(stat -c %Y "$(file 2)") <= $(date +%s)))
  equal 1 "$(swept entries --max-size 8K)"
  equal '2 3 ' "$(ids)"
}

@test "leftovers that are dated in the future are removed" {
  get -- true
  mkdir "$MEMOLOCK_CACHE_DIR"/{empty,.memolock-doctor-x}
  echo dead >"$MEMOLOCK_CACHE_DIR/t/x.0123456789abcdef0123456789abcdef.answer"
  touch -d '2 days' "$MEMOLOCK_CACHE_DIR"/{empty,.memolock-doctor-x,t/*.answer}
  memolock gc
  [[ ! -e $MEMOLOCK_CACHE_DIR/empty && ! -e $MEMOLOCK_CACHE_DIR/.memolock-doctor-x ]]
  equal x.entry "$(ls "$MEMOLOCK_CACHE_DIR/t")"
}

@test "gc removes counters whose last use is in the future, and a start in the future is not shown" {
  counters=$MEMOLOCK_CACHE_DIR/.stats/t.counts
  get -- true
  # the start and the last use, in nanoseconds: in 2100
  ahead() { printf '\x00\x00\x80\x3a\x02\x05\xef\x38' | dd of="$counters" bs=1 seek="$1" conv=notrunc status=none; }
  ahead 16
  (($(memolock stats --json | jq '.[0].since | floor') <= $(date +%s)))
  memolock gc
  [[ -e $counters ]]
  ahead 24
  memolock gc
  [[ ! -e $counters ]]
}

@test "gc reports what it removed" {
  keep a --ttl 1h
  keep b --ttl 1h
  "$HELPERS/redate" "$(file b)" -7200
  run -0 gc
  equal 'removed 1 entry and 0 leftovers, 4.0 KiB; 1 entry, 4.0 KiB left' "$output"
}

@test "gc --dry-run reports the same and removes nothing" {
  for id in {1..6}; do
    keep "$id" --ttl 1h
    age "$id" "$id"
  done
  "$HELPERS/redate" "$(file 6)" -7200
  age 6 6
  cp "$(file 1)" "$MEMOLOCK_CACHE_DIR/t/dead.run"
  before=$(find "$MEMOLOCK_CACHE_DIR" | sort)
  dry=$(gc --json --dry-run --max-size 12K)
  equal "$before" "$(find "$MEMOLOCK_CACHE_DIR" | sort)"
  real=$(gc --json --max-size 12K)
  equal "$(jq -c 'del(.dry_run)' <<<"$dry")" "$(jq -c 'del(.dry_run)' <<<"$real")"
  equal '3 1 3' "$(jq -r '"\(.entries) \(.leftovers) \(.kept)"' <<<"$real")"
}

@test "gc removes the least recently used entries down to --max-size" {
  for id in 1 2 3 4 5; do keep $id --ttl 1h; done
  age 1 1
  age 2 5
  age 3 3
  age 4 4
  equal 2 "$(swept entries --max-size 12K)"
  equal '1 3 5 ' "$(ids)"
  equal 0 "$(swept entries --max-size 12K)"
  equal 3 "$(MEMOLOCK_MAX_SIZE=0 swept entries)"
}

@test "a hit is a use; ls, show and gc are not" {
  for id in 1 2 3; do
    keep $id --ttl 1h
    age $id 3
  done
  memolock get --tag t --id 2 >/dev/null
  memolock ls >/dev/null
  memolock show --tag t --id 1 >/dev/null
  memolock gc >/dev/null
  equal 2 "$(swept entries --max-size 4K)"
  equal '2 ' "$(ids)"
}

@test "a hit records its use at most once an hour" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  keep x --ttl 1h
  noted() {
    strace -e trace=utimensat -o trace "$MEMOLOCK_BIN" get --tag t --id x >/dev/null
    grep -c utimensat trace || true
  }
  equal 0 "$(noted)"
  touch -d '61 minutes ago' "$(file x)"
  equal 1 "$(noted)"
  equal 0 "$(noted)"
  # the time at which it was stored does not change
  (($(stat -c %Y "$(file x)") <= $(date +%s) - 3600))
}

@test "gc removes what killed holders left behind" {
  has_size() { (($(stat -c %s "$2") >= $1)); }
  for id in a b; do
    spawn "$MEMOLOCK_BIN" get --tag t --id $id --ttl 1h -- sh -c 'head -c 100000 /dev/zero; exec held "$0" true' $id >/dev/null
    await test -e $id.started
    # until memolock has read all of it
    await has_size 100000 "$MEMOLOCK_CACHE_DIR/t/$id.run"
    bury $!
  done
  spawn "$MEMOLOCK_BIN" get --tag t --id c --ttl 1h --external -- held c true
  await test -e c.started
  bury $!
  (($(find "$MEMOLOCK_CACHE_DIR/t" -type f -o -type p | wc -l) >= 10))
  memolock gc --json >report
  (($(jq .leftovers report) >= 7))
  (($(jq .bytes report) >= 200000))
  equal '' "$(find "$MEMOLOCK_CACHE_DIR/t" -mindepth 1)"
}

@test "gc does not touch the files of a run in progress" {
  keep x --ttl 1h
  "$HELPERS/redate" "$(file x)" -7200
  spawn_get -v -- held a echo new >out 2>err
  await test -e a.started
  spawn_get -- false >waiter.out
  await is_waiting $!
  before=$(find "$MEMOLOCK_CACHE_DIR/t" | sort)
  equal '0 0' "$(gc --json --max-size 0 | jq -r '"\(.entries) \(.leftovers)"')"
  equal "$before" "$(find "$MEMOLOCK_CACHE_DIR/t" | sort)"
  release a
  finish_all
  equal 'new new' "$(cat out waiter.out | xargs)"
  equal new "$(memolock get --tag t --id x)"
}

# set_half: starts a `set` that has written a part of its entry, and reads the rest through descriptor 7.
set_half() {
  mkfifo input
  exec 7<>input
  spawn "$MEMOLOCK_BIN" set --tag t --id x --ttl 1h input 7>&-
  echo half >&7
  await is_writing
}
is_writing() { [[ -n $(find "$MEMOLOCK_CACHE_DIR/t" -name '*.answer' -size +0) ]]; }

@test "gc does not touch a file that set is writing" {
  set_half
  touch -d '2 hours ago' "$MEMOLOCK_CACHE_DIR"/t/*.answer "$MEMOLOCK_CACHE_DIR/t"
  equal 0 "$(swept leftovers)"
  echo whole >&7
  exec 7>&-
  finish_all
  equal $'half\nwhole' "$(memolock get --tag t --id x)"
}

@test "gc removes the file of a killed set" {
  set_half
  end "${spawned[-1]}"
  equal 0 "$(swept leftovers)"
  touch -d '2 minutes ago' "$MEMOLOCK_CACHE_DIR"/t/*.answer
  equal 1 "$(swept leftovers)"
}

@test "a reader that has an entry open when gc removes it reads it completely" {
  head -c 3000000 /dev/urandom >large
  memolock get --tag t --id x --ttl 1h -- cat large >/dev/null
  mkfifo out
  spawn sh -c 'exec "$0" get --tag t --id x >out' "$MEMOLOCK_BIN"
  exec 7<out
  # from now on it has the entry open, and has not read most of it
  dd bs=1 count=1 of=got status=none <&7
  equal 1 "$(swept entries --max-size 0)"
  cat <&7 >>got
  exec 7<&-
  finish_all
  same_bytes large got
}

@test "gc leaves foreign files and entries of another version, and removes damaged ones" {
  keep a --ttl 1h
  keep b --ttl 1h
  keep c --ttl 1h
  change_byte "$(file a)" 8 # its version
  change_byte "$(file b)" 40
  truncate -s -1 "$(file c)"
  echo mine >"$MEMOLOCK_CACHE_DIR/t/notes"
  echo mine >"$MEMOLOCK_CACHE_DIR/t/y.entry"
  echo mine >"$MEMOLOCK_CACHE_DIR/stray"
  equal 2 "$(swept entries)"
  equal 'a.entry notes y.entry ' "$(names "$MEMOLOCK_CACHE_DIR/t")"
  [[ -e $MEMOLOCK_CACHE_DIR/stray ]]
}

@test "gc removes empty directories of tags, and the files of a killed doctor" {
  keep x --ttl 1h
  mkdir "$MEMOLOCK_CACHE_DIR"/{old,new} "$MEMOLOCK_CACHE_DIR"/.memolock-doctor-{old,new}
  touch "$MEMOLOCK_CACHE_DIR"/.memolock-doctor-{old,new}/a
  touch -d '1 hour ago' "$MEMOLOCK_CACHE_DIR"/{old,.memolock-doctor-old,t}
  equal 1 "$(swept leftovers)"
  equal '.gc .memolock-doctor-new .stats new t ' "$(names "$MEMOLOCK_CACHE_DIR")"
}

@test "gc removes the counters of tags that were not used for 90 days" {
  keep x --ttl 1h
  memolock get --tag u --id x --ttl 1h -- true
  # nanoseconds since the epoch, from byte 24
  printf '\0\0\0\0\0\0\0\1' | dd of="$MEMOLOCK_CACHE_DIR/.stats/u.counts" bs=1 seek=24 conv=notrunc status=none
  memolock gc >/dev/null
  equal t "$(memolock stats | cut -f 1)"
}

# bats test_tags=slow
@test "during a gc every concurrent get is served, none is refused, and no entry is torn" {
  seq 100 >want
  for i in {1..12}; do keep "$i" --ttl forever; done
  refused=0
  : >sweeps
  sweep_on --max-size 16K
  # also until both have certainly run at the same time
  for ((round = 1; round <= 25 || $(runs) <= 20 || $(wc -l <sweeps) <= 20; ++round)); do
    for i in {1..12}; do
      memolock get --tag t --id "$i" --ttl forever --wait 0 -- counted seq 100 >"out.$i" 2>"err.$i" 3>&- &
      pids[i]=$!
    done
    for i in {1..12}; do
      if ! wait "${pids[i]}"; then
        # as designed, if gc has been stopped for half a second between two system calls
        ((++refused == 1)) || fail "round $round: $(<"err.$i")"
        contains "$(<"err.$i")" 'timed out after waiting 0ms for an unknown process'
        continue
      fi
      same_bytes want "out.$i"
      is_empty "err.$i"
    done
  done
  : >stop
  finish_all
  memolock gc --max-size 0 >/dev/null
  equal '' "$(find "$MEMOLOCK_CACHE_DIR/t" -mindepth 1)"
}

# bats test_tags=slow
@test "a fresh entry is not run twice while gc removes expired ones" {
  keep other --ttl forever
  sweep_on
  for round in {1..40}; do
    : >"$RUNS"
    memolock get --tag t --id x --ttl 1h -- true
    "$HELPERS/redate" "$(file x)" -7200 2>/dev/null || true # fails if gc has removed it in the last round
    for i in {1..6}; do
      memolock get --tag t --id x --ttl 1h -- counted true 3>&- &
      pids[i]=$!
    done
    for i in {1..6}; do wait "${pids[i]}"; done
    ran_times 1
    memolock del --tag t --id x >/dev/null
  done
  : >stop
  finish_all
}

# stopped_at NAME COMMAND…: runs it in the background, stopped when it has opened NAME; $stopped is its pid.
stopped_at() {
  strace -o trace -e trace=openat "${@:2}" >/dev/null
  local nth
  nth=$(grep -nF "\"$1\", " trace | cut -d : -f 1 | tail -n 1)
  rm -f "$MEMOLOCK_CACHE_DIR"/t/*
  spawn strace -o trace -e trace=openat -e "inject=openat:signal=STOP:when=$nth" "${@:2}"
  tracer=$!
  await grep -q 'stopped by SIGSTOP' trace
  stopped=$(pgrep -P $tracer)
  also_end "$stopped" # strace does not take it along
}

@test "one gc works at a time: a second one waits until the first has ended" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  expired
  # stopped when it has removed that
  spawn strace -qq -o first.trace -P old.entry -e trace=unlinkat -e inject=unlinkat:signal=STOP "$MEMOLOCK_BIN" gc
  tracer=$!
  await grep -q 'stopped by SIGSTOP' first.trace
  also_end "$(pgrep -P $tracer)"
  is_swept
  expired late
  spawn "$MEMOLOCK_BIN" gc
  second=$!
  is_blocked() { grep -qE "setlk|lock" "/proc/$second/wchan"; }
  await is_blocked
  [[ -e $(file late) ]] || fail 'it does not wait'
  let_gc_go_on
  finish $second
  equal 0 "$status"
  equal '' "$(ids)"
}

@test "a result is stored even if gc has just removed the directory of the tag" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  echo out >input
  for words in 'get --on-store-error fail --tag t --id x --ttl forever -- echo out' \
    'set --tag t --id x --ttl forever input'; do
    keep other --ttl forever
    # shellcheck disable=SC2086
    stopped_at t "$MEMOLOCK_BIN" $words >out 2>err
    touch -d '1 hour ago' "$MEMOLOCK_CACHE_DIR/t"
    memolock gc >/dev/null
    [[ ! -e $MEMOLOCK_CACHE_DIR/t ]]
    kill -CONT "$stopped"
    finish $tracer
    equal 0 "$status"
    is_empty err
    equal out "$(memolock get --tag t --id x)"
  done
}

# ---- gcs of different stores: each removes locks of callers without a store, from the same directory ----

# without_store: from here on callers use the machine's own locks, in a directory that no other test cleans.
without_store() {
  mkdir -m 700 "$XDG_RUNTIME_DIR"
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  export MEMOLOCK_STORE=redis+unix://$PWD/no-server MEMOLOCK_ON_STORE_ERROR=run
  spawn_get -- held first true
  await test -e first.started
  own_folder=$(readlink "/proc/$!/fd/$(fifos $! | head -n 1)")
  own_folder=${own_folder%/*}
}

# stop_gc_in_bar: stops a gc while it blocks the lock of the entry x; $tracer is strace, its parent.
stop_gc_in_bar() {
  without_store
  # at first it can hold copies of the lock and the FIFO
  local watchdog
  watchdog=$(pgrep -x -P $! memolock)
  end $!
  await is_gone "$watchdog"
  mkdir first
  spawn env MEMOLOCK_CACHE_DIR="$PWD/first" strace -qq -o gc.trace -P x.run -e trace=unlinkat \
    -e inject=unlinkat:signal=STOP:when=1 "$MEMOLOCK_BIN" gc --store local
  tracer=$!
  await grep -q 'stopped by SIGSTOP' gc.trace
  also_end "$(pgrep -P $tracer)"
}

let_gc_go_on() {
  kill -CONT "$(pgrep -P $tracer)"
  finish $tracer
  equal 0 "$status"
}

@test "of two gcs that clean the same directory, neither removes a lock that a caller has acquired meanwhile" {
  stop_gc_in_bar
  mkdir second
  MEMOLOCK_CACHE_DIR=$PWD/second memolock gc --store local >/dev/null
  spawn strace -qq -o caller.trace -e trace=fcntl "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted held a true
  await grep -q F_OFD_SETLK caller.trace
  let_gc_go_on
  await test -e a.started
  run -124 get --wait 0 -- counted true
  release a
  finish $!
  ran_times 1
}

@test "a gc that is stopped while it blocks a lock is treated like a holder and costs a caller few system calls" {
  stop_gc_in_bar
  run -124 strace -f -qq -o calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --wait 0 -- counted true
  (($(wc -l <calls) < 500)) || fail "$(wc -l <calls) system calls"
  spawn_get -- counted echo made >out
  waiting=$!
  let_gc_go_on
  finish $waiting
  equal 0 "$status"
  equal made "$(<out)"
  ran_times 1
}

# bats test_tags=slow
@test "callers run one at a time while two gcs remove their unused locks" {
  without_store
  mkdir 1 2
  : >sweeps
  release first
  finish $!
  # files of dead promises are created again and again, and each removal takes a while, so two gcs block the same lock
  # shellcheck disable=SC2016
  spawn bash -c 'until [[ -e stop ]]; do touch -d "2 minutes ago" "$0"/x.{1..9}"$1".answer; done' "$own_folder" \
    "$(printf %031d 0)" 2>/dev/null
  for store in 1 2; do
    # shellcheck disable=SC2016
    MEMOLOCK_CACHE_DIR=$PWD/$store spawn strace -f -qq -o sweep.trace -e trace=unlinkat \
      -e inject=unlinkat:delay_enter=1000 \
      bash -c 'until [[ -e stop ]]; do "$0" gc --store local >>sweeps; done' "$MEMOLOCK_BIN"
  done
  for ((rounds = 0; rounds == 0 || $(wc -l <sweeps) <= 10; ++rounds)); do
    for caller in {1..3}; do
      # shellcheck disable=SC2016
      spawn bash -c 'for ((i = 0; i < 60; ++i)); do "$0" lock --tag t --id x -- alone sleep 0.01 || echo $? >>failed
        sleep 0.0$((RANDOM % 10)); done' "$MEMOLOCK_BIN" 2>>warnings
      callers[caller]=$!
    done
    for caller in "${callers[@]}"; do finish "$caller"; done
  done
  : >stop
  finish_all
  [[ ! -e overlaps ]] || fail "$(wc -l <overlaps) overlaps"
  [[ ! -e failed ]] || fail "ended with $(sort failed | uniq -c)"
  ran_times $((180 * rounds))
}

# ---- automatic gc ----

# due: sets the time of the last gc to more than an hour ago.
due() { touch -d '61 minutes ago' "$MEMOLOCK_CACHE_DIR/.gc"; }

@test "a miss that stores its result more than an hour after the last gc starts one in the background" {
  expired
  due
  keep x --ttl 1h
  await is_swept
  equal 'x ' "$(ids)"
}

@test "a hit, a failed run, an unstored run and a miss within the hour start no gc" {
  expired
  keep x --ttl 1h
  due
  keep x --ttl 1h
  run -1 memolock get --tag t --id w --ttl 1h -- false
  memolock get --tag t --id y --ttl 0 -- true
  (($(stat -c %Y "$MEMOLOCK_CACHE_DIR/.gc") < $(date +%s) - 3600))
  touch -d '59 minutes ago' "$MEMOLOCK_CACHE_DIR/.gc"
  before=$(stat -c %Y "$MEMOLOCK_CACHE_DIR/.gc")
  keep z --ttl 1h
  equal "$before" "$(stat -c %Y "$MEMOLOCK_CACHE_DIR/.gc")"
  ! is_swept || fail 'it has been swept'
}

@test "a last gc in the future is ignored" {
  expired
  touch -d '2 days' "$MEMOLOCK_CACHE_DIR/.gc"
  keep x --ttl 1h
  await is_swept
  (($(stat -c %Y "$MEMOLOCK_CACHE_DIR/.gc") <= $(date +%s)))
}

@test "of many concurrent misses one starts a gc" {
  strace -f -o trace true 2>/dev/null || skip 'strace cannot run here'
  expired
  due
  for i in {1..20}; do
    spawn strace -f -qq -e trace=utimensat -o "trace.$i" "$MEMOLOCK_BIN" get --tag t --id "m$i" --ttl 1h -- true
  done
  finish_all
  await is_swept
  equal 1 "$(cat trace.* | grep -c utimensat)"
}

@test "the background gc holds none of the caller's pipes, and its caller does not wait for it" {
  expired
  due
  # makes gc wait at this FIFO
  mkfifo "$MEMOLOCK_CACHE_DIR/t/held.entry"
  out=$(memolock get --tag t --id x --ttl 1h -- echo out 2>&1)
  equal out "$out"
  await is_swept
}

@test "a miss within the hour spends one system call on this" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  keep x --ttl 1h
  strace -o trace "$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- true
  equal 1 "$(grep -c '/\.gc"' trace)"
}

@test "the background gc respects MEMOLOCK_MAX_SIZE" {
  keep old --ttl 1h
  age old 1
  due
  MEMOLOCK_MAX_SIZE=4K keep x --ttl 1h
  await is_swept
  equal 'x ' "$(ids)"
}

@test "gc removes leftovers and old empty directories of callers without a store" {
  fallback=$(fallback)/gc-test.$$
  mkdir -p "$fallback/t" "$fallback.empty" "$fallback.new"
  echo dead >"$fallback/t/x.run"
  touch -d '2 minutes ago' "$fallback.empty"
  (($(swept leftovers) >= 1))
  [[ ! -e $fallback/t/x.run ]]
  [[ ! -e $fallback.empty ]]
  rmdir "$fallback.new" "$fallback/t" "$fallback"
}

@test "gc removes an expired mark of once, but no other mark to make room" {
  memolock once --store local --tag t --id long --ttl 1h -- true
  memolock once --store local --tag t --id short --ttl 100ms -- true
  is_dropped() {
    memolock gc --max-size 0 >/dev/null
    [[ ! -e $MEMOLOCK_CACHE_DIR/t/short.mark ]]
  }
  await is_dropped
  [[ -e $MEMOLOCK_CACHE_DIR/t/long.mark ]]
}

@test "once starts no gc" {
  expired
  due
  memolock once --store local --tag t --id o --ttl 1h -- true
  (($(stat -c %Y "$MEMOLOCK_CACHE_DIR/.gc") < $(date +%s) - 3600))
  ! is_swept || fail 'it has been swept'
}
