#!/usr/bin/env bats
# Linux 3.17, the minimum in README.md: memolock works without any later system call.

load ../helpers/common

setup() {
  isolate
  use_store
  short_lease
}

old() { "$HELPERS/old_kernel" "$MEMOLOCK_BIN" "$@"; }
spawn_old_get() { spawn "$HELPERS/old_kernel" "$MEMOLOCK_BIN" get --tag t --id x --ttl forever "$@"; }

@test "old_kernel, with which these tests run, refuses later system calls" {
  # one of Linux 5.3, with a higher number than all earlier ones, and one of 4.5, with a number among them
  for call in pidfd_open copy_file_range; do
    run "$HELPERS/old_kernel" python3 -c "
import os
a, b = os.open('/etc/passwd', os.O_RDONLY), os.open('copy', os.O_WRONLY | os.O_CREAT)
os.pidfd_open(os.getpid()) if '$call' == 'pidfd_open' else os.copy_file_range(a, b, 1)"
    equal 1 "$status"
    contains "$output" 'Function not implemented'
  done
}

@test "on Linux 3.17 a miss is stored with its artifacts and replayed into a file, a pipe and /dev/null, and counted" {
  for _ in 1 2; do
    old get --tag t --id x --ttl 1h --artifact made -- counted sh -c 'echo file >made; seq 100000; echo err >&2' >out 2>err
    seq 100000 | cmp - out
    equal err "$(<err)"
    equal file "$(<made)"
    rm made
  done
  equal 100000 "$(old get --tag t --id x --ttl 1h | tail -n 1)"
  old get --tag t --id x --ttl 1h >/dev/null 2>&1
  ran_times 1
  equal 't 3 1' "$(old stats | cut -f 1-3 | tr '\t' ' ')"
  equal x "$(old ls | cut -f 2)"
  old del --tag t --id x
  store_is_clean
}

@test "on Linux 3.17 of 20 callers one runs the command, and one takes over when that one dies" {
  spawn_old_get -- counted held a echo first
  await test -e a.started
  for i in {1..20}; do
    spawn_old_get -v -- counted held b echo second >"out.$i" 2>"err.$i"
    await is_waiting $!
  done
  end "${spawned[0]}"
  await test -e b.started
  release b
  finish_waiters
  equal 20 "$(cat out.* | grep -c second)"
  ran_times 2
  store_is_clean
}

@test "on Linux 3.17 a signal reaches the command's descendants, and the command of a killed holder ends" {
  spawn_old_get -- sh -c 'sleep 1000 & echo $! >child; wait' 2>err
  await test -s child
  kill -TERM $!
  finish $!
  equal 143 "$status"
  await is_gone "$(<child)"
  # shellcheck disable=SC2016
  spawn_old_get -- sh -c 'echo $$ >command.pid; exec sleep 1000'
  await test -s command.pid
  end $!
  await is_gone "$(<command.pid)"
}
