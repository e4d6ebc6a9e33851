#!/usr/bin/env bats
# MEMOLOCK_CONTROL: what the command says about its own result.

load ../helpers/common

# saying LINE…: a run whose command writes these lines.
saying() {
  get -- sh -c 'for line; do echo "$line"; done >>"$MEMOLOCK_CONTROL"; echo said' - "$@"
}

stored() { memolock get --tag t --id x >/dev/null; }

@test "cache=no: the result is not stored" {
  run --separate-stderr -0 saying cache=no
  equal said "$output"
  equal '' "$stderr"
  run -1 stored
  store_is_clean
}

@test "cache=no: waiters still share the result" {
  spawn_get -- counted held a sh -c 'echo cache=no >>"$MEMOLOCK_CONTROL"; echo shared'
  await test -e a.started
  spawn_get -- counted echo own >out
  await is_waiting $!
  release a
  finish_all
  equal shared "$(<out)"
  ran_times 1
  run -1 stored
}

@test "ttl= shortens the time that an entry is fresh" {
  saying ttl=50ms
  expired() { ! stored; }
  await expired
  equal 2 "$(get -- echo 2)"
}

@test "ttl= lengthens the time that an entry is fresh" {
  memolock get --tag t --id x --ttl 1ms -- sh -c 'echo ttl=1h >>"$MEMOLOCK_CONTROL"; echo long'
  sleep 0.05
  equal long "$(memolock get --tag t --id x --ttl 1ms -- echo other)"
}

@test "ttl=0 stores nothing, and ttl=forever never expires" {
  saying ttl=0
  run -1 stored
  saying ttl=forever
  contains "$(memolock ls)" $'\tforever\t'
}

@test "stale= sets the stale window" {
  run --separate-stderr -0 saying stale=1h ttl=1h
  equal '' "$stderr"
  stored
}

@test "the last of several lines is used" {
  saying ttl=0 ttl=1h
  stored
}

@test "a malformed line gives one warning, and the result is not stored" {
  for line in nonsense ttl=soon ttl= cache=maybe =x 'ttl 5' $'\x1b[31m'; do
    run --separate-stderr -0 saying "$line"
    equal said "$output"
    one_own_line "$stderr"
    lacks "$stderr" $'\x1b'
    run -1 stored
  done
}

@test "several malformed lines give one warning" {
  run --separate-stderr -0 saying a b c
  one_own_line "$stderr"
}

@test "the warning about a long invalid line quotes its beginning" {
  run --separate-stderr -0 get -- sh -c 'head -c 3000 /dev/zero >>"$MEMOLOCK_CONTROL"'
  one_own_line "$stderr"
  ((${#stderr} < 600)) || fail "${#stderr} bytes"
}

@test "a control file of more than 64KiB is rejected, not read in part" {
  run --separate-stderr -0 get -- sh -c 'yes ttl=100s | head -c 65537 >>"$MEMOLOCK_CONTROL"'
  one_own_line "$stderr"
  contains "$stderr" '64KiB'
  run -1 stored
  get -- sh -c 'yes ttl=1h | head -c 65536 >>"$MEMOLOCK_CONTROL"'
  run -1 stored
  get -- sh -c 'yes ttl=1h | head -c 65534 >>"$MEMOLOCK_CONTROL"'
  stored
}

@test "blanks and empty lines are ignored" {
  run --separate-stderr -0 saying '' '  ' ' ttl=1h ' ''
  equal '' "$stderr"
  stored
}

@test "a last line without a newline is used" {
  get -- sh -c 'printf cache=no >>"$MEMOLOCK_CONTROL"'
  run -1 stored
}

@test "a command can overwrite the file instead of appending to it" {
  get -- sh -c 'echo cache=no >"$MEMOLOCK_CONTROL"'
  run -1 stored
}

@test "a command can remove the file" {
  run --separate-stderr -0 get -- sh -c 'rm -f "$MEMOLOCK_CONTROL"; echo fine'
  equal fine "$output"
  store_is_clean
}

@test "control lines of a command whose result was refused do not affect the next run" {
  spawn_get --max-entry 5 -- sh -c 'echo 0123456789; held a true; echo cache=no >>"$MEMOLOCK_CONTROL"; exec held b true' 2>err
  await test -e a.started
  was_refused() { ! is_running x; }
  await was_refused
  spawn_get -- held c echo second
  await test -e c.started
  release a
  await test -e b.started
  release c
  finish "${spawned[1]}"
  equal second "$(memolock get --tag t --id x)"
  release b
  finish_all
  store_is_clean
}

# The directory of this user's control files.
control_folder=/tmp/memolock-control-$EUID

@test "anyone who knows the name of the control file can write to it, whatever the umask" {
  for mask in 0 077; do
    (umask "$mask" && get --id "$mask" -- sh -c 'stat -c "%a %u %s %F" "$MEMOLOCK_CONTROL"' >seen)
    equal "622 $EUID 0 regular empty file" "$(<seen)"
    equal "711 $EUID directory" "$(stat -c '%a %u %F' "$control_folder")"
  done
  run -0 get -- sh -c 'echo "$MEMOLOCK_CONTROL"'
  [[ $output =~ ^$control_folder/[0-9a-f]{32}$ ]] || fail "$output"
}

# heard_by WRITER…: asserts that a control line from a command started by WRITER is used.
heard_by() {
  "$@" true 2>/dev/null || return 0 # not possible on this machine
  run --separate-stderr -0 get -- "$@" sh -c 'echo cache=no >>"$MEMOLOCK_CONTROL" && echo said'
  equal said "$output"
  equal '' "$stderr"
  run -1 stored
  : >>heard
}

@test "control lines of a command of another user, or in other namespaces, are used" {
  heard_by setpriv --reuid=65534 --regid=65534 --clear-groups
  heard_by unshare -pf
  heard_by unshare -pf --mount-proc
  heard_by unshare -Ur
  heard_by unshare -Urpf --mount-proc
  [[ -e heard ]] || skip 'neither user nor namespace is to be had here'
}

@test "a run that is interrupted, killed or refused leaves no control file behind" {
  short_lease
  for signal in TERM KILL; do
    spawn_get -- sh -c 'echo "$MEMOLOCK_CONTROL" >"$0.path"; exec held "$0" true' $signal
    await test -e $signal.started
    [[ -f $(<"$signal".path) ]]
    kill -$signal $!
    finish $!
    is_removed() { [[ ! -e $(<"$signal".path) ]]; }
    await is_removed
    ! on_redis || await nobody_holds
  done
  get --max-entry 5 -- sh -c 'echo 0123456789; echo "$MEMOLOCK_CONTROL" >path' 2>/dev/null
  [[ -s path && ! -e $(<path) ]]
}

@test "a control file that is written after its run has no effect, and the next gc removes it" {
  run -0 get -- sh -c 'echo "$MEMOLOCK_CONTROL"'
  echo cache=no >"$output"
  touch -d '2 minutes ago' "$output"
  spawn_get --id y -- sh -c 'touch -d "2 minutes ago" "$MEMOLOCK_CONTROL"; exec held a sh -c "echo cache=no >>\"\$MEMOLOCK_CONTROL\""'
  await test -e a.started
  memolock gc >/dev/null
  [[ ! -e $output ]]
  release a
  finish_all
  run -1 memolock get --tag t --id y
}

# without_tmp OPTION… COMMAND…: `get` where /tmp is read-only except for the files of this test.
without_tmp() {
  unshare -m true 2>/dev/null || skip 'cannot mount here'
  run --separate-stderr unshare -m sh -c 'mount --bind /tmp /tmp && mount --bind "$PWD" "$PWD" &&
    mount -o remount,bind,ro /tmp && cd "$PWD" && exec "$@"' - "$MEMOLOCK_BIN" get --tag t --id x "$@"
}

@test "if no control file can be created, one warning says so and what to do, unless nothing would be stored" {
  [[ $PWD == /tmp/* ]] || skip 'the tests are not below /tmp'
  without_tmp --ttl 1h -- sh -c 'echo "$MEMOLOCK_CONTROL"'
  equal '0 /dev/null' "$status $output"
  one_own_line "$stderr"
  contains "$stderr" "t:x: not stored: cannot create MEMOLOCK_CONTROL: cannot create "
  contains "$stderr" "$control_folder: Read-only file system; memolock needs a writable /tmp"
  run -1 stored
  without_tmp --ttl 1h --cache-failures 1h -- false
  one_own_line "$stderr"
  # a result that is not stored anyway
  without_tmp --ttl 1h -- false
  equal 1 "$status"
  equal '' "$stderr"
  without_tmp --ttl 0 -- echo output
  equal 'output' "$output$stderr"
}

@test "without a control file, a stale entry is served with a warning, and no background run is started" {
  [[ $PWD == /tmp/* ]] || skip 'the tests are not below /tmp'
  memolock get --tag t --id x --ttl 1ms --stale 1h -- echo old
  expired() { [[ $(memolock ls | cut -f 3) == stale ]]; }
  await expired
  for _ in 1 2; do
    without_tmp --ttl 1h --stale 1h -- counted echo new
    equal '0 old' "$status $output"
    one_own_line "$stderr"
    contains "$stderr" 't:x: no background refresh: cannot create MEMOLOCK_CONTROL: '
    contains "$stderr" 'Read-only file system; memolock needs a writable /tmp'
  done
  ran_times 0
}
