#!/usr/bin/env bats
# Where the local store is, which directories are created for it, and their modes, whatever the umask.
# store: local

# shellcheck disable=SC2088 # a ~ in quotes is what memolock expands

load ../helpers/common

setup() {
  isolate
  unset XDG_CACHE_HOME
  # a user other than root, since modes do not restrict root
  uid=$EUID as_user=()
  ln -s "$MEMOLOCK_BIN" memolock.copy
  ((EUID == 0)) || return 0
  uid=$((100000 + RANDOM))
  as_user=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups --inh-caps=-all)
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  cp --remove-destination "$MEMOLOCK_BIN" memolock.copy
  chown "$uid" "$HOME"
}

teardown() {
  end_all
  ((uid == EUID)) || rm -rf "/tmp/memolock-$uid" "/tmp/memolock-place-$uid" "/tmp/memolock-control-$uid"
}

needs_root() { ((EUID == 0)) || skip 'needs root'; }

# by_user ARG…: runs memolock as that user.
by_user() { "${as_user[@]}" "$PWD/memolock.copy" "$@"; }

# run_without PART WORD…: asserts that the command runs without the store, with one warning that contains PART.
run_without() {
  run --separate-stderr -0 "${@:2}" get --tag t --id "$BATS_TEST_NUMBER-$$" --ttl 1h -- echo output
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" "$1"
  contains "$stderr" 'without the store'
}

# modes DIRECTORY: the modes of all directories, files and FIFOs in it.
modes() { find "$1" -mindepth 1 -printf '%y %m\n' | sort -u | tr '\n' ' '; }

@test "as root with another user's home directory nothing is created there" {
  needs_root
  run_without "$HOME belongs to another user; choose another" memolock
  SUDO_UID=$uid run_without "$HOME belongs to another user; use 'sudo -H', or choose another" memolock
  equal '' "$(ls -A "$HOME")"
  refused "$HOME belongs to another user" memolock once --store local --tag t --id x --ttl 1h -- true
  refused "$HOME belongs to another user" memolock set --tag t --id x --ttl 1h memolock.copy
  SUDO_UID=$uid run -1 memolock doctor
  contains "$output" "cannot create $HOME/.cache/memolock: $HOME belongs to another user; use 'sudo -H'"
  mkdir "$HOME/.cache"
  chown "$uid" "$HOME/.cache"
  run_without "$HOME/.cache belongs to another user" memolock
  equal .cache "$(ls -A "$HOME")"
}

@test "a store is not created where other users could replace it" {
  mkdir -m 777 public
  MEMOLOCK_CACHE_DIR=$PWD/public/a/store run_without "other users can write to $PWD/public; choose another directory" memolock
  equal '' "$(ls -A public)"
  MEMOLOCK_CACHE_DIR=$PWD/public/store run -1 memolock doctor
  contains "$output" "other users can write to $PWD/public"
  # like /tmp
  chmod 1777 public
  MEMOLOCK_CACHE_DIR=$PWD/public/a/store memolock get --tag t --id x --ttl 1h -- true
  equal 700 "$(stat -c %a public/a/store)"
  # an existing store is checked itself
  chmod 777 public
  MEMOLOCK_CACHE_DIR=$PWD/public/a/store memolock get --tag t --id x
}

@test "for a user's own directory that a group can write to, the warning has a command that can be pasted" {
  needs_root
  mkdir -m 775 "our's"
  chgrp 65534 "our's"
  export MEMOLOCK_CACHE_DIR="$PWD/our's/store"
  run_without "other users can write to $PWD/our's; run: chmod go-w '" memolock
  remedy=${stderr#*run: }
  bash -c "${remedy%%; running*}"
  equal 755 "$(stat -c %a "our's")"
  memolock get --tag t --id x --ttl 1h -- true
}

@test "the remedy for a default store names it if a pasted command would not find it" {
  needs_root
  export HOME=$PWD/own
  mkdir -p own/.cache/memolock
  chmod 770 own/.cache/memolock
  run_without 'run: memolock doctor --fix; running' memolock
  for name in MEMOLOCK_CACHE_DIR XDG_CACHE_HOME; do
    export "$name=$HOME/.cache"
    [[ $name == XDG* ]] || export "$name=$HOME/.cache/memolock"
    run_without "run: memolock doctor --fix --store file://$HOME/.cache/memolock; running" memolock
    unset "$name"
  done
}

@test "in a user namespace without the machine's root, files of the unmapped owner are treated as root's" {
  needs_root
  as_nobody() { setpriv --reuid="$uid" --regid="$uid" --clear-groups unshare -Ur "$@"; }
  [[ $(as_nobody stat -c %u /) == 65534 ]] || skip 'cannot create such a namespace here'
  place=/tmp/memolock-place-$uid
  MEMOLOCK_CACHE_DIR=$place run --separate-stderr -0 as_nobody "$PWD/memolock.copy" get --tag t --id x --ttl 1h -- echo output
  equal output "$output"
  equal '' "$stderr"
  equal 700 "$(stat -c %a "$place")"
  MEMOLOCK_CACHE_DIR=$place run -0 as_nobody "$PWD/memolock.copy" doctor
  rm -r "$place"
}

@test "a group other than the user's private group is treated as other users" {
  needs_root
  mkdir -m 775 shared
  chgrp "$uid" shared
  MEMOLOCK_CACHE_DIR=$PWD/shared/store run_without "other users can write to $PWD/shared" memolock
  mkdir -m 775 own
  chown "$uid:$uid" own
  MEMOLOCK_CACHE_DIR=$PWD/own/store by_user get --tag t --id x --ttl 1h -- true
  equal 700 "$(stat -c %a own/store)"
}

@test "a missing home directory is not created, however the store is named" {
  export HOME=$PWD/nowhere
  run_without "$HOME/.cache/memolock: the home directory does not exist" memolock
  MEMOLOCK_CACHE_DIR=$HOME run_without 'the home directory does not exist' memolock
  MEMOLOCK_CACHE_DIR='~/a/b' run_without 'the home directory does not exist' memolock
  XDG_CACHE_HOME=$HOME/cache run_without 'the home directory does not exist' memolock
  run -1 memolock doctor
  contains "$output" 'the home directory does not exist'
  [[ ! -e nowhere ]]
  # another name with the same prefix
  MEMOLOCK_CACHE_DIR=${HOME}2/store memolock get --tag t --id x --ttl 1h -- true
  [[ -d nowhere2/store/t ]]
}

@test "verbs that only read create nothing and find nothing" {
  token=0123456789abcdef0123456789abcdef
  export MEMOLOCK_CACHE_DIR=$PWD/store
  for words in 'get --tag t --id x' 'get --tag t --id x --wait 1s' ls 'ls --json' 'show --tag t --id x' stats \
    'stats --reset' 'gc' 'gc --dry-run' doctor 'key -- true' 'del --tag t --id x' 'del --all --tag t' \
    "fail --tag t --id x --token $token" "renew --tag t --id x --token $token" "set --tag t --id x --ttl 1h --token $token"; do
    status=0
    # shellcheck disable=SC2086
    memolock $words >said 2>&1 </dev/null || status=$?
    ((status < 2)) || fail "$words: $status: $(<said)"
    [[ ! -e store ]] || fail "made by: $words"
  done
  run -0 memolock del --tag t --id x
  equal 0 "$output"
  [[ ! -e $HOME/.cache ]]
}

@test "a look-up on a server creates no directory for its counters" {
  start_redis --port 0
  export MEMOLOCK_CACHE_DIR=$PWD/store MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
  patient
  run -1 memolock get --tag t --id x
  [[ ! -e store ]]
  memolock get --tag t --id x --ttl 1h -- true
  memolock get --tag t --id x
  equal 't 1 1' "$(memolock stats | cut -f 1-3 | tr '\t' ' ')"
}

@test "a store that another caller creates at the same time is used" {
  export MEMOLOCK_CACHE_DIR=$PWD/store
  for i in {1..10}; do
    spawn "$MEMOLOCK_BIN" get --tag t --id "x$((i % 2))" --ttl 1h -- counted true
  done
  finish_all
  ran_times 2
}

@test "a relative MEMOLOCK_CACHE_DIR is refused" {
  export MEMOLOCK_CACHE_DIR=cache/store
  refused "MEMOLOCK_CACHE_DIR: 'cache/store' is not an absolute path" memolock get --tag t --id x --ttl 1h -- echo output
  for verb in ls gc doctor stats; do refused 'is not an absolute path' memolock "$verb"; done
  [[ ! -e cache ]]
}

@test "a leading ~/ means the home directory in MEMOLOCK_CACHE_DIR and in a URL" {
  export HOME=$PWD/mine
  mkdir "$HOME"
  MEMOLOCK_CACHE_DIR='~/my/store' memolock get --tag t --id x --ttl 1h -- echo output
  [[ -d $HOME/my/store/t ]]
  equal output "$(memolock get --store 'file://~/my/store' --tag t --id x)"
  MEMOLOCK_CACHE_DIR='~' memolock get --tag u --id x --ttl 1h -- echo output
  [[ -d $HOME/u ]]
  [[ ! -e '~' ]]
  MEMOLOCK_CACHE_DIR='~other/store' refused 'is not an absolute path' memolock ls
  (
    unset HOME
    MEMOLOCK_CACHE_DIR='~/store' refused "MEMOLOCK_CACHE_DIR: '~/store': HOME is not an absolute path" memolock ls
  )
}

@test "a leading ~/ means the home directory in paths in the configuration and in variables" {
  export HOME=$PWD/mine
  mkdir -p "$HOME" "$XDG_CONFIG_HOME/memolock"
  printf '%s\n' 'report = "~/report"' 'key-file = ["~/input", "memolock.copy"]' 'store = "file://~/store"' \
    'artifact = "made"' >"$XDG_CONFIG_HOME/memolock/config.toml"
  echo 1 >"$HOME/input"
  memolock get --tag t --ttl 1h -- sh -c 'echo 1 >made'
  equal 1 "$(wc -l <"$HOME/report")"
  [[ -d $HOME/store/t ]]
  MEMOLOCK_REPORT='~/other' memolock get --tag t --ttl 1h -- sh -c 'echo 1 >made'
  equal hit "$(jq -r .outcome "$HOME/other")"
  refused '~/input' memolock get --tag t --ttl 1h --key-file '~/input' -- true
}

@test "whatever the umask, only its user can access what is created" {
  export MEMOLOCK_CACHE_DIR=$HOME/a/store
  for mask in 0277 0777 0000; do
    umask "$mask"
    rm -rf "$HOME/a"
    run --separate-stderr -0 by_user get --tag t --id x --ttl 1h -- sh -c 'umask; find "$MEMOLOCK_CACHE_DIR" ! -type l -printf "%y %m\n" | sort -u'
    equal "$mask"$'\nd 700\nf 600\np 600' "$output"
    equal '' "$stderr"
    run --separate-stderr -0 by_user get --tag t --id x --ttl 1h -- echo again
    contains "$output" "$mask"
    run --separate-stderr -1 by_user get --tag t --id y --ttl 1h --cache-failures 1h -- false
    run --separate-stderr -0 by_user once --store local --tag t --id x --ttl 1h -- true
    equal '' "$stderr"
    run --separate-stderr -0 by_user once --store local --tag t --id x --ttl 1h -- echo again
    equal '' "$output"
    run --separate-stderr -0 by_user lock --store local --tag t --id z -- true
    equal '' "$stderr"
    run -0 by_user set --tag t --id s --ttl 1h <<<text
    equal text "$(by_user get --tag t --id s)"
    equal 't 2 2' "$(by_user stats | cut -f 1-3 | tr '\t' ' ')"
    run -0 by_user gc
    run -0 by_user doctor
    equal 'd 700 f 600 ' "$(modes "$HOME/a")"
  done
}

@test "if the directory cannot be created, the message says how to choose another" {
  needs_root
  HOME=/ run_without 'cannot create /.cache: Permission denied; choose another directory with MEMOLOCK_CACHE_DIR' by_user
}

@test "whatever the umask, a promise can be completed, and its files belong to its user only" {
  export MEMOLOCK_CACHE_DIR=$HOME/store
  umask 0777
  spawn "${as_user[@]}" "$PWD/memolock.copy" get --tag t --id x --ttl 1h --external -- sh -c 'echo "$MEMOLOCK_RUN_TOKEN" >&2' \
    >"$HOME/out" 2>"$HOME/err"
  await test -s "$HOME/err"
  await test -p "$MEMOLOCK_CACHE_DIR/t/x.promise"
  equal 600 "$(stat -c %a "$MEMOLOCK_CACHE_DIR/t/x.promise")"
  run --separate-stderr -0 by_user set --tag t --id x --ttl 1h --token "$(<"$HOME/err")" <<<text
  finish_all
  equal text "$(<"$HOME/out")"
}

@test "whatever the umask, callers without a store share a run" {
  needs_root
  umask 0277
  export MEMOLOCK_CACHE_DIR=/proc/none/store
  for i in 1 2; do
    spawn "${as_user[@]}" "$PWD/memolock.copy" get -v --tag t --id x --ttl 1h -- \
      sh -c 'echo started >&2; until [ -e go ]; do sleep 0.01; done; echo $$' >out.$i 2>err.$i
    if ((i == 1)); then await grep -qx started err.1; else await is_waiting $!; fi
  done
  : >go
  finish_all
  equal "$(<out.1)" "$(<out.2)"
  equal 'd 700 ' "$(modes "/tmp/memolock-$uid")"
}

@test "the fallback store is in XDG_RUNTIME_DIR if only the user can access that, otherwise in /tmp" {
  needs_root
  export MEMOLOCK_CACHE_DIR=/proc/none/store
  mkdir -m 700 runtime foreign
  chown "$uid" runtime
  XDG_RUNTIME_DIR=$PWD/runtime run_without none by_user
  equal 700 "$(stat -c %a runtime/memolock)"
  [[ ! -e /tmp/memolock-$uid ]]
  rm -r runtime/memolock
  # not if it belongs to or can be written by another user, or is relative or missing
  XDG_RUNTIME_DIR=$PWD/foreign run_without none by_user
  [[ -d /tmp/memolock-$uid ]]
  chmod 770 runtime
  for place in "$PWD/runtime" runtime "$PWD/nowhere"; do
    rm -rf "/tmp/memolock-$uid"
    chmod 700 runtime
    [[ $place != /*/runtime ]] || chmod 770 runtime
    XDG_RUNTIME_DIR=$place run_without none by_user
    [[ -d /tmp/memolock-$uid ]] || fail "$place"
    equal '' "$(find runtime foreign -mindepth 1)"
  done
}

@test "gc cleans both of these places" {
  mkdir -m 700 "$XDG_RUNTIME_DIR"
  for place in "$XDG_RUNTIME_DIR/memolock" "/tmp/memolock-$EUID"; do
    mkdir -m 700 "$place" 2>/dev/null || [[ -d $place ]]
    mkdir "$place/place-test.$$"
    touch -d '2 minutes ago' "$place/place-test.$$"
  done
  memolock gc
  [[ ! -e $XDG_RUNTIME_DIR/memolock/place-test.$$ && ! -e /tmp/memolock-$EUID/place-test.$$ ]]
}
