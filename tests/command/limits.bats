#!/usr/bin/env bats
# --max-runtime and --max-entry.

load ../helpers/common

# a user id that no other test file uses
other=$((600000 + RANDOM))

teardown() {
  end_all
  # the processes of another user, listed in that user's directory
  [[ ! -e sleepers ]] || xargs kill -KILL <sleepers
  ((UID != 0)) || rm -rf "/tmp/memolock-control-$other"
}

# bats test_tags=slow
@test "--max-runtime stops the command, with 124 and nothing stored" {
  run -124 get --max-runtime 8s -- counted sleep 60
  run -1 memolock get --tag t --id x
  ran_times 1
  store_is_clean
}

@test "--max-runtime does not affect a faster command" {
  run -0 get --max-runtime 1h -- echo quick
  equal quick "$output"
  run -0 memolock get --tag t --id x
}

# bats test_tags=slow
@test "output before --max-runtime reaches the caller" {
  run --separate-stderr -124 get --max-runtime 8s -- sh -c 'echo early; sleep 60'
  equal early "$output"
}

# bats test_tags=slow
@test "--max-runtime stops the descendants of the command too" {
  run -124 get --max-runtime 8s -- sh -c 'setsid sh -c "echo \$\$ >far.pid; exec sleep 60" & sleep 60'
  is_gone "$(<far.pid)"
}

@test "--max-runtime does not affect processes that were started before memolock replaced their parent" {
  spawn bash -c 'sleep 60 & echo $! >elder.pid
    exec "$0" get --tag t --id x --ttl 1h --max-runtime 100ms -- sleep 60' "$MEMOLOCK_BIN"
  finish $!
  equal 124 "$status"
  ! is_gone "$(<elder.pid)" || fail 'it was ended'
  kill "$(<elder.pid)"
}

# bats test_tags=slow
@test "--max-runtime sends TERM to the command first" {
  run --separate-stderr -124 get --max-runtime 8s -- sh -c 'trap "echo bye; exit 0" TERM; while :; do sleep 0.01; done'
  equal bye "$output"
  run -1 memolock get --tag t --id x
}

# bats test_tags=slow
@test "--max-runtime kills a command that ignores TERM" {
  run -124 get --max-runtime 8s -- sh -c 'trap "" TERM; sh -c "echo \$\$ >deaf.pid; while :; do sleep 1; done"'
  # it has been killed, but a busy machine may end it later than memolock waits for that
  await is_gone "$(<deaf.pid)"
  store_is_clean
}

@test "--max-runtime ends a command that is stopped" {
  run -124 get --max-runtime 100ms -- sh -c 'kill -STOP $$'
}

# bats test_tags=slow
@test "waiters of a run that was stopped at its limit get its status 124" {
  spawn_get --max-runtime 8s -- counted sleep 60
  await is_running x
  spawn_get -- counted true
  waiter=$!
  finish $waiter
  equal 124 "$status"
  ran_times 1
}

@test "--max-runtime does not limit a waiter" {
  spawn_get -- counted held a echo held
  await test -e a.started
  spawn_get -v --max-runtime 1ms -- counted true >out 2>err
  await is_waiting $!
  release a
  finish_all
  equal held "$(<out)"
}

@test "a result larger than --max-entry passes through, with one warning, and is not stored" {
  head -c 5000 /dev/urandom >large
  run -0 sh -c '"$0" get --tag t --id x --ttl 1h --max-entry 4999 -- cat large >out 2>err' "$MEMOLOCK_BIN"
  same_bytes large out
  one_own_line "$(<err)"
  contains "$(<err)" 'not stored'
  run -1 memolock get --tag t --id x
  store_is_clean
}

@test "a result of exactly --max-entry is stored" {
  run -0 get --max-entry 5000 -- head -c 5000 /dev/zero
  run -0 memolock get --tag t --id x
}

@test "--max-entry limits both streams together" {
  get --max-entry 99 -- sh -c 'printf %050d 1; printf %050d 2 >&2' >out 2>err
  equal 50 "$(wc -c <out)"
  contains "$(<err)" "$(printf %050d 2)"
  contains "$(<err)" 'not stored'
  run -1 memolock get --tag t --id x
}

@test "a result much larger than --max-entry passes through completely" {
  head -c 20000000 /dev/urandom >large
  get --max-entry 100KiB -- sh -c 'cat large; cat large >&2' >out 2>err
  same_bytes large out
  # the warning can be anywhere in the output of the command
  warning=$(grep -ao 'memolock: .*' err)
  equal $((20000000 + ${#warning} + 1)) "$(wc -c <err)"
}

@test "the exit status of a result larger than --max-entry is the command's" {
  run -9 get --max-entry 10 -- sh -c 'seq 1000; exit 9'
  equal 1000 "$(grep -c '^[0-9]*$' <<<"$output")"
}

@test "when the holder's result grows too large, waiters immediately run the command without the store" {
  spawn_get --max-entry 1000 -- counted held a sh -c 'head -c 5000 /dev/zero; exec held b true' >1.out 2>1.err
  await test -e a.started
  for i in 2 3; do
    spawn_get -- counted echo own >$i.out 2>$i.err
    await is_waiting $!
  done
  release a
  for i in 1 2; do
    finish "${spawned[i]}"
    equal 0 "$status"
  done
  [[ ! -e b.go ]]
  for i in 2 3; do equal own "$(<$i.out)"; done
  ran_times 3
  release b
  finish_all
  equal 5000 "$(wc -c <1.out)"
  store_is_clean
}

@test "an endless pipeline ends when its reader does" {
  run -0 bash -c 'timeout 60 "$0" get --tag t --id x --ttl 1h --max-entry 64KiB -- yes 2>err | head -n 1; echo "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  equal $'y\n141' "$output"
  store_is_clean
}

@test "sizes can be written in several ways" {
  for size in 4096 10kB 1KiB 10MB 64MiB 1GiB; do
    run -0 memolock get --tag s --id $size --ttl 1h --max-entry $size -- echo 1
  done
  for size in '' x 1XB -1 1e99 '1 2'; do
    refused --max-entry memolock get --tag s --id x --ttl 1h --max-entry="$size" -- echo 1
  done
}

# as_user COMMAND…: runs it in the background as a user who must not kill root's processes, in that user's directory;
# a command after as_root runs as root.
as_user() {
  spawn setpriv --reuid "$other" --regid "$other" --clear-groups --inh-caps +dac_override --ambient-caps +dac_override "$@"
}
as_root=(./as_root --reuid 0 --clear-groups)

has_two_users() {
  ((UID == 0)) || skip 'needs two users'
  mkdir user
  cp "$(command -v setpriv)" user/as_root
  chown "$other:$other" user
  chmod 4755 user/as_root
  cd user || return
  export HOME=$PWD MEMOLOCK_CACHE_DIR=$PWD/store
  as_user "${as_root[@]}" id -u >uid
  finish $!
  [[ $(<uid) == 0 ]] || skip 'no other user is to be had here'
}

# bats test_tags=slow
@test "processes of another user that cannot be killed are named after the grace period, and not waited for" {
  has_two_users
  # shellcheck disable=SC2016
  sleeper=("${as_root[@]}" sh -c 'echo $$ >>sleepers; exec sleep 300')
  names=(get lock once bypassed interrupted interrupted-child)
  pids=()
  as_user strace -qq -e trace=openat -e signal=none -o trace "$MEMOLOCK_BIN" get --id get --ttl 1h --max-runtime 6s \
    -- "${sleeper[@]}" 2>get.err
  pids+=($!)
  as_user "$MEMOLOCK_BIN" lock --id lock --max-runtime 6s -- "${sleeper[@]}" 2>lock.err
  pids+=($!)
  as_user "$MEMOLOCK_BIN" once --store "${MEMOLOCK_STORE-local}" --id once --ttl 1h --max-runtime 6s \
    -- "${sleeper[@]}" 2>once.err
  pids+=($!)
  MEMOLOCK_BYPASS=1 as_user "$MEMOLOCK_BIN" get --id bypassed --max-runtime 6s -- "${sleeper[@]}" 2>bypassed.err
  pids+=($!)
  as_user "$MEMOLOCK_BIN" get --id interrupted --ttl 1h \
    -- "${as_root[@]}" sh -c 'echo $$ >>sleepers; : >1.ready; exec sleep 300' 2>interrupted.err
  pids+=($!)
  as_user "$MEMOLOCK_BIN" lock --id interrupted-child -- sh -c "${as_root[*]} sh -c 'echo \$\$ >>sleepers; : >2.ready; exec sleep 300'; true" \
    2>interrupted-child.err
  pids+=($!)
  await test -e 1.ready
  await test -e 2.ready
  kill -TERM "${pids[@]:4}"
  for i in {0..5}; do
    finish "${pids[i]}"
    stopped=124
    ((i < 4)) || stopped=143
    equal "${names[i]} $stopped" "${names[i]} $status"
    line=$(grep -F ' still running, could not be killed: ' "${names[i]}.err") || fail "${names[i]} does not say what is left"
    one_own_line "$line"
    [[ $line =~ :\ ([0-9]+)\ \(sleep\)$ ]] || fail "in other words: $line"
    ! is_gone "${BASH_REMATCH[1]}" || fail "${names[i]}: it has been ended"
    ((i >= 4)) || contains "$(<"${names[i]}.err")" 'was stopped after --max-runtime 6s'
  done
  # /proc is read from time to time, not continuously
  looks=$(grep -c '"/proc"' trace)
  ((looks > 0 && looks < 40)) || fail "$looks looks"
  run -1 memolock get --id get
}

@test "--max-runtime is reported in one line, but not with -q" {
  for verb in get lock once; do
    asked=("$verb" --tag t --max-runtime 50ms)
    [[ $verb == lock ]] || asked+=(--ttl 1h)
    [[ $verb != once ]] || asked+=(--store "${MEMOLOCK_STORE-local}")
    run --separate-stderr -124 memolock "${asked[@]}" --id "$verb.1" -- sleep 60
    equal "memolock: t:$verb.1: the command was stopped after --max-runtime 50ms" "$stderr"
    run --separate-stderr -124 memolock "${asked[@]}" -q --id "$verb.2" -- sleep 60
    equal '' "$stderr"
  done
  MEMOLOCK_BYPASS=1 run --separate-stderr -124 get --max-runtime 50ms -- sleep 60
  one_own_line "$stderr"
  MEMOLOCK_BYPASS=1 run --separate-stderr -124 get -q --max-runtime 50ms -- sleep 60
  equal '' "$stderr"
  run --separate-stderr -124 get --external --max-runtime 50ms -- sleep 60
  one_own_line "$stderr"
}

@test "once and lock report with -v that they were interrupted" {
  for verb in lock once; do
    rm -f ready
    asked=("$verb" -v --id "$verb")
    [[ $verb == lock ]] || asked+=(--ttl 1h --store "${MEMOLOCK_STORE-local}")
    spawn "$MEMOLOCK_BIN" "${asked[@]}" -- sh -c ': >ready; exec sleep 60' 2>err
    await test -e ready
    kill -TERM $!
    finish $!
    equal 143 "$status"
    equal 1 "$(grep -c ': interrupted$' err)"
  done
}
