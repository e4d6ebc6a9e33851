#!/usr/bin/env bats
# A local store that contains planted objects, or that other users can access: no call hangs, and nothing outside the
# directory is followed, overwritten or deleted.
# store: local
# bats file_tags=slow

load ../helpers/common

setup() {
  isolate
  use_store
  # files outside the store: those of an intact entry, as in the directory of a tag
  MEMOLOCK_CACHE_DIR=$PWD/other memolock get --tag t --id x --ttl 1h -- echo outside
  mkdir outside
  mv other/t outside/t
  echo precious >outside/precious
  seen=$(all_of outside)
}

# all_of DIRECTORY: the names, kinds, modes, times and contents of everything in it.
all_of() {
  find "$1" -printf '%p %y %m %T@ %l\n' | sort
  find "$1" -type f -print0 | sort -z | xargs -0r cksum
}

# a user id that no other test file uses
nobody=$((240000 + RANDOM))

teardown() {
  end_all
  ((EUID == 0)) || return 0
  for uid in "${uid-$nobody}" "$nobody"; do rm -rf /tmp/memolock-{control-,}"$uid" /tmp/memolock-control-"$uid"-*; done
}

outside_is_untouched() { equal "$seen" "$(all_of outside)"; }

# each_verb: runs everything that uses the entry x of the tag t; none of it must take long.
each_verb() {
  local words
  for words in 'get -q --tag t --id x' 'get -q --tag t --id x --wait 100ms' 'ls' 'show --tag t --id x' \
    'get -q --tag t --id x --ttl 1h --wait 100ms --on-timeout run -- echo output' 'stats' 'stats --reset' \
    'get -q --tag t --id x --ttl 1h --stale 1h --refresh --cache-failures 1h --wait 100ms --on-timeout run -- false' \
    'once -q --store local --tag t --id x --ttl 1h -- true' 'lock -q --tag t --id x --wait 100ms -- true' \
    'get -q --tag t --id x --ttl 0 --lease 100ms --external --wait 100ms -- true' \
    'set --tag t --id x --ttl 1h outside/precious' 'fail --tag t --id x --token 0123456789abcdef0123456789abcdef' \
    'renew --tag t --id x --token 0123456789abcdef0123456789abcdef' 'doctor' 'gc' 'del --tag t --id x' \
    'del --all --tag t'; do
    status=0
    # shellcheck disable=SC2086
    timeout -s KILL 60 "$MEMOLOCK_BIN" $words >said 2>&1 </dev/null || status=$?
    ((status < 126)) || fail "$words: $status: $(<said)"
    # an entry could have been planted
    [[ $words != *'echo output' || $(<said) == @(output|outside) ]] || fail "$words: $(<said)"
  done
}

# plant KIND PATH: creates an object of this kind. A link leads to files that must not be touched.
plant() {
  rm -rf "$2"
  case $1 in
    link) ln -s "$PWD/outside/precious" "$2" ;;
    link_to_folder) ln -s "$PWD/outside" "$2" ;;
    link_to_nowhere) ln -s "$PWD/outside/nowhere" "$2" ;;
    fifo) mkfifo "$2" ;;
    folder) mkdir "$2" ;;
    full_folder) mkdir -p "$2/inside" && echo precious >"$2/inside/file" ;;
    socket) perl -MIO::Socket::UNIX -e 'chdir shift; IO::Socket::UNIX->new(Local => shift, Listen => 1) or die' "${2%/*}" "${2##*/}" ;;
    device) mknod "$2" c 1 5 ;;
    empty) : >"$2" ;;
    rubbish) head -c 5000 /dev/urandom >"$2" ;;
    sound) cp outside/t/x.entry "$2" ;;
  esac
}
kinds=(link link_to_folder link_to_nowhere fifo folder full_folder socket empty rubbish sound)
((EUID != 0)) || kinds+=(device)

# whatever_stands_at PATH: plants each kind there in turn.
whatever_stands_at() {
  local kind
  for kind in "${kinds[@]}"; do
    rm -rf store
    memolock get --tag t --id y --ttl 1h -- true
    mkdir -p "$(dirname "store/$1")"
    plant "$kind" "store/$1"
    each_verb
    outside_is_untouched
    [[ $kind != full_folder ]] || equal precious "$(<"store/$1/inside/file")"
  done
}

@test "any object in place of an entry, a failure or a mark is harmless" {
  for name in x.entry x.failed x.mark; do whatever_stands_at "t/$name"; done
}

@test "any object in place of a lock or a run is harmless" {
  for name in x.lock x.run; do whatever_stands_at "t/$name"; done
}

@test "any object in place of a run's FIFOs is harmless" {
  for name in x.wake x.promise; do whatever_stands_at "t/$name"; done
}

@test "any object in place of a tag's directory is harmless" {
  whatever_stands_at t
}

@test "any object in place of the counters, their directory or the timestamp of gc is harmless" {
  for name in .stats .stats/t.counts .gc; do whatever_stands_at "$name"; done
}

@test "any object in place of the cached slots of clusters is harmless" {
  for kind in "${kinds[@]}"; do
    mkdir -p store
    chmod 700 store
    plant "$kind" store/.clusters
    run -0 timeout -s KILL 60 "$MEMOLOCK_BIN" get -q --store redis+cluster://127.0.0.1:1 --ttl 1h --id "$$" -- echo output
    equal output "$output"
    outside_is_untouched
  done
}

@test "if a link replaces a tag's directory, nothing is deleted or stored in its target" {
  get -- true
  rm -rf store/t
  ln -s "$PWD/outside/t" store/t
  equal 0 "$(memolock del --tag t --id x)"
  equal 0 "$(memolock del --all --foreign --tag t)"
  memolock gc --max-size 0
  run --separate-stderr -0 get --refresh -- echo output
  equal output "$output"
  one_own_line "$stderr"
  refused store/t memolock set --tag t --id x --ttl 1h outside/precious
  outside_is_untouched
}

@test "if a link replaces a tag's directory, del does not affect a run in its target" {
  MEMOLOCK_CACHE_DIR=$PWD/outside spawn_get --refresh -- held a true
  await test -e a.started
  mkdir -m 700 store
  rm -rf outside/t/*.entry
  ln -s "$PWD/outside/t" store/t
  equal 0 "$(memolock del --tag t --id x)"
  release a
  finish_all
  [[ -e outside/t/x.entry ]]
}

# by_nobody COMMAND…: runs it as a user who can only pass through the directories here.
by_nobody() {
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  [[ -e memolock ]] || cp "$MEMOLOCK_BIN" memolock
  setpriv --reuid="$nobody" --regid="$nobody" --clear-groups env HOME=/nowhere "$@"
}

needs_root() { ((EUID == 0)) || skip 'needs root'; }

@test "another user can neither read the store nor write to it nor list its names" {
  needs_root
  umask 000
  get -- true
  spawn_get --refresh -- held a true
  await test -e a.started
  for file in store store/t; do ! by_nobody ls "$file" || fail "the names in $file can be read"; done
  for file in store/t/x.{entry,run,lock,wake}; do
    [[ -e $file ]]
    ! by_nobody timeout 5 head -c 1 "$file" || fail "$file can be read"
    ! by_nobody timeout 5 touch "$file" || fail "$file can be written"
  done
  ! by_nobody touch store/new store/t/new || fail 'files can be made'
  release a
  finish_all
}

@test "another user who names the store is refused, and delays no call" {
  needs_root
  get -- echo mine
  chmod 755 store
  seen=$(all_of store)
  run --separate-stderr -0 by_nobody MEMOLOCK_CACHE_DIR="$PWD/store" ./memolock get --tag t --id x --ttl 1h -- echo theirs
  equal theirs "$output"
  contains "$stderr" 'belongs to another user'
  refused 'belongs to another user' by_nobody MEMOLOCK_CACHE_DIR="$PWD/store" ./memolock del --all --tag t
  equal "$seen" "$(all_of store)"
}

@test "a link of another user in place of the store is not followed" {
  needs_root
  chmod 700 outside
  seen=$(all_of outside)
  ln -s outside store
  chown -h 65534 store
  run --separate-stderr -0 get -- echo output
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" "$PWD/store is a symbolic link of another user"
  refused "$PWD/store" memolock del --all --tag t
  memolock get -q --tag t --id y --ttl 1h -- true
  outside_is_untouched
  chown -h 0 store
  equal 1 "$(memolock del --all --tag t)"
}

@test "in a sticky directory the store belongs to its user, and a planted store is refused" {
  needs_root
  mkdir -m 1777 public
  export MEMOLOCK_CACHE_DIR=$PWD/public/store
  equal mine "$(get -- echo mine)"
  equal 700 "$(stat -c %a public/store)"
  ! by_nobody touch public/store/new || fail 'a file can be made'
  ! by_nobody mv public/store public/stolen || fail 'it can be renamed'
  rm -rf public/store
  by_nobody mkdir -m 777 public/store
  run --separate-stderr -0 get -- echo output
  contains "$stderr" 'belongs to another user'
  equal '' "$(ls -A public/store)"
}

# as_new_user COMMAND…: runs it as a user with an own store and without files in /tmp; $uid is the user's id.
as_new_user() {
  mkdir -p store && chown "$uid" store && chmod 700 store
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  [[ -e memolock ]] || cp "$MEMOLOCK_BIN" memolock
  setpriv --reuid="$uid" --regid="$uid" --clear-groups env HOME=/nowhere "$@"
}

# planted_control: with an object planted at $place, the directory of control files, the command's control lines are
# used, through a directory of the run's own that is removed with the run.
planted_control() {
  run --separate-stderr as_new_user ./memolock get --tag t --id x --ttl 1ms -- \
    sh -c 'echo ttl=1h >>"$MEMOLOCK_CONTROL"; echo "$MEMOLOCK_CONTROL"; stat -c "%a %u" "${MEMOLOCK_CONTROL%/*}"'
  equal 0 "$status"
  equal '' "$stderr"
  [[ ${lines[0]} =~ ^"$place"-[0-9a-f]{32}/[0-9a-f]{32}$ ]] || fail "$output"
  equal "711 $uid" "${lines[1]}"
  equal "$output" "$(as_new_user ./memolock get --tag t --id x)"
  as_new_user ./memolock del --tag t --id x
  run as_new_user ./memolock doctor
  contains "$output" "advice  control     each run creates its own directory: "
  equal '' "$(compgen -G "$place-*")"
  rm -rf "$place"
}

@test "objects planted in place of the directory of control files are harmless" {
  needs_root
  uid=$((200000 + RANDOM)) place=/tmp/memolock-control-$uid
  mkdir -m 711 "$place"
  planted_control
  contains "$output" 'belongs to another user'
  mkdir -m 777 "$place"
  chown "$uid" "$place"
  planted_control
  contains "$output" "other users can write to $place; run: chmod go-w $place"
  mkdir -m 731 "$place"
  chown "$uid" "$place"
  planted_control
  for kind in link_to_folder fifo empty; do
    plant "$kind" "$place"
    chown -h "$uid" "$place"
    planted_control
  done
  outside_is_untouched
}

@test "a run's own directory of control files is removed when the run is killed; gc removes others" {
  needs_root
  uid=$((200000 + RANDOM)) place=/tmp/memolock-control-$uid
  mkdir -m 711 "$place"
  for signal in TERM KILL; do
    rm -f path
    as_new_user true
    # shellcheck disable=SC2016 # the command's
    spawn setpriv --reuid="$uid" --regid="$uid" --clear-groups ./memolock get --tag t --id x --ttl 1h -- \
      sh -c 'echo "$MEMOLOCK_CONTROL"; exec sleep 300' >path
    await test -s path
    own=$(dirname "$(<path)")
    [[ -d $own && $own == "$place"-* ]]
    kill -"$signal" $!
    finish $!
    is_removed() { [[ ! -e $own ]]; }
    await is_removed
  done
  # as if all processes of a run had been killed at the same time
  hex=$(printf '0%.0s' {1..31})
  as_new_user mkdir -m 711 "$place-${hex}1" "$place-${hex}2" "$place-${hex}3"
  as_new_user touch "$place-${hex}1/file" "$place-${hex}3/file"
  mkdir "$place-${hex}4"
  as_new_user touch -d '2 minutes ago' "$place-${hex}1/file" "$place-${hex}1" "$place-${hex}2"
  touch -d '2 minutes ago' "$place-${hex}4"
  as_new_user ./memolock gc >/dev/null
  equal "$place-${hex}3 $place-${hex}4" "$(echo "$place"-*)"
}

@test "root can write to the directory of control files, and other users cannot list it" {
  needs_root
  for mask in 000 077 022; do
    uid=$((200000 + RANDOM)) place=/tmp/memolock-control-$uid
    rm -rf store
    # shellcheck disable=SC2016
    as_new_user setsid sh -c 'umask $1; exec ./memolock get --tag t --id x --ttl 1h -- sh -c "$2"' - $mask \
      'echo "$MEMOLOCK_CONTROL"; n=0; until [ -e go ] || [ $((n += 1)) -gt 3000 ]; do sleep 0.01; done' >path 3>&- &
    holder=$!
    await test -s path
    mode=$(stat -c '%a %u' "$place")
    # if it were sticky, fs.protected_regular would refuse root
    [[ $mode == "711 $uid" ]] || : >go
    equal "711 $uid" "$mode"
    ! by_nobody ls "$place" || fail 'its names can be seen'
    echo cache=no >>"$(<path)"
    : >go
    finish "$holder"
    equal 0 "$status"
    run -1 as_new_user ./memolock get --tag t --id x
    equal '' "$(ls -A "$place")"
    rm -r "$place" go path
  done
}

# planted_fallback KIND: plants an object in place of the fallback store of a new user.
planted_fallback() {
  local place
  uid=$((200000 + RANDOM))
  place=/tmp/memolock-$uid
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  chown -R "$uid" outside
  chmod 700 outside
  plant "$1" "$place"
  chown -h "${2-$uid}" "$place"
  [[ -e memolock ]] || cp "$MEMOLOCK_BIN" memolock
  seen=$(all_of outside)
  run --separate-stderr setpriv --reuid="$uid" --regid="$uid" --clear-groups env -u MEMOLOCK_CACHE_DIR \
    -u XDG_CACHE_HOME HOME=/proc/none timeout 60 ./memolock get --tag t --id x --ttl 1h -- echo output
  rm -rf "$place"
  equal "0 output" "$status $output"
  contains "$stderr" 'without the store'
  outside_is_untouched
}

@test "objects planted in place of the fallback store are harmless" {
  needs_root
  planted_fallback link_to_folder
  planted_fallback link_to_folder 0
  planted_fallback folder 65534
  planted_fallback fifo
  planted_fallback empty
}
