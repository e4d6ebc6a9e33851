#!/usr/bin/env bats
# once and lock with a server: marks, leases, and the result of a run when the server fails.
# store: redis

load ../helpers/common
load ../helpers/faults

setup() {
  isolate
  use_own_store
}

once() { memolock once --tag t --id x --ttl 1h "$@"; }

# mark WORD…: the reply to a command for the key of the mark, whose name contains a NUL.
mark() { redis eval 'return redis.call(ARGV[1], "t/run:x\0mark", unpack(ARGV, 2))' 0 "$@"; }

# hold VERB OPTION…: starts a run that ends after `release a`.
hold() {
  spawn "$MEMOLOCK_BIN" "$1" --tag t --id x "${@:2}" -- held a sh -c 'exit 3' 2>err
  holder=$!
  await test -e a.started
}

# between LEAST MOST NUMBER
between() { (($1 <= $3 && $3 <= $2)) || fail "$3 is not from $1 to $2"; }

# ---- marks ----

@test "a mark is a single key, not a value for other programs, and expires by itself" {
  once --ttl 10m -- echo output
  equal 1 "$(redis dbsize)"
  equal 0 "$(redis exists t:x)"
  equal hash "$(mark type)"
  between 500000 600000 "$(mark pttl)"
  once --ttl 10m -- counted true
  ran_times 0
  memolock del --tag t --id x
  once --ttl 300ms -- true
  is_forgotten() { equal 0 "$(redis dbsize)" 2>/dev/null; }
  await is_forgotten
}

@test "a mark with --ttl forever has no expiry" {
  once --ttl forever -- true
  equal -1 "$(mark pttl)"
}

@test "the mark has the holder and the status, and neither command nor output" {
  run -3 once -- sh -c 'echo secret-output; : secret-word; exit 3'
  equal 3 "$(mark hget status)"
  equal "$(uname -n)" "$(mark hget host)"
  lacks "$(mark hgetall)" secret
}

@test "a mark and another program's value do not affect each other" {
  redis set t:x foreign >/dev/null
  once -- counted true
  ran_times 1
  equal foreign "$(redis get t:x)"
  redis set t:x other >/dev/null
  once -- counted true
  ran_times 1
}

@test "a key of another type in place of the mark is reported and not changed" {
  mark sadd member >/dev/null
  refused t:x memolock once --tag t --id x --ttl 1h -- counted true
  ran_times 0
  equal set "$(mark type)"
}

# ---- leases ----

# lease OPTION…: the lease of the lock of a call, in ms.
lease() {
  memolock "$@" --tag t --id x -- redis-cli -s "$REDIS_SOCKET" pttl t/lock:x
  memolock del --tag t --id x >/dev/null
}

# has_lease LEAST MOST OPTION…: whether it is in this range. It is shorter if a process stood still meanwhile.
has_lease() { left=$(lease "${@:3}") && (($1 <= left && left <= $2)); }

@test "the lease is a minute, unless --lease or a variable says otherwise" {
  for verb in 'once --ttl 1h' lock; do
    read -ra words <<<"$verb"
    await has_lease 50000 60000 "${words[@]}"
    MEMOLOCK_LEASE=20s await has_lease 15000 20000 "${words[@]}"
    MEMOLOCK_LEASE=20s await has_lease 25000 30000 "${words[@]}" --lease 30s
  done
  await has_lease 5000 10000 get --ttl 0
}

# bats test_tags=slow
@test "the lock is renewed while the command runs" {
  hold lock --lease 8s
  token=$(redis get t/lock:x)
  sees_renewals 4
  equal "$token" "$(redis get t/lock:x)"
  run -124 memolock lock --tag t --id x --wait 0 -- counted true
  release a
  finish $holder
  equal 3 "$status"
  is_empty err
  equal 0 "$(redis dbsize)"
  ran_times 0
}

# A command that writes its process id and that of a child to files, and never ends.
family='echo $$ >command.pid; sh -c "echo \$\$ >child.pid; exec sleep 60"; true'

# cut_off VERB OPTION…: starts a holder with this command, and kills its server.
cut_off() {
  spawn "$MEMOLOCK_BIN" "$1" --tag t --id x --lease 5s "${@:2}" -- sh -c "$family" 2>err
  holder=$!
  await test -s child.pid
  end "$REDIS_PID"
}

# bats test_tags=slow
@test "lock stops the command when its lease could not be renewed" {
  cut_off lock
  finish $holder
  equal 143 "$status"
  is_gone "$(<command.pid)"
  is_gone "$(<child.pid)"
  one_own_line "$(<err)"
  contains "$(<err)" lease
}

# bats test_tags=slow
@test "lock stops the command when another program has acquired the lock" {
  spawn "$MEMOLOCK_BIN" lock --tag t --id x --lease 5s -- sh -c "$family" 2>err
  holder=$!
  await test -s child.pid
  redis set t/lock:x other >/dev/null
  finish $holder
  equal 143 "$status"
  is_gone "$(<child.pid)"
  equal other "$(redis get t/lock:x)"
}

@test "with --on-lost-lease continue the command of lock continues" {
  hold lock --lease 200ms --on-lost-lease continue
  at_once 'set t/lock:x other'
  await renewed 1
  # it has done with the lease: nothing renews it any more
  has_one_thread() { (($(find "/proc/$holder/task" -mindepth 1 -maxdepth 1 | wc -l) == 1)); }
  await has_one_thread
  end "$REDIS_PID"
  release a
  finish $holder
  equal 3 "$status"
}

# bats test_tags=slow
@test "once lets the command continue; with --on-lost-lease kill it stops the command and leaves no mark" {
  hold once --ttl 1h --lease 200ms
  at_once 'set t/lock:x other px 100000'
  await renewed 1
  release a
  finish $holder
  equal 3 "$status"
  one_own_line "$(<err)"
  contains "$(<err)" 'the mark was not stored'
  equal t/lock:x "$(redis keys '*')"
  redis flushall >/dev/null
  cut_off once --ttl 1h --on-lost-lease kill
  finish $holder
  equal 143 "$status"
  is_gone "$(<child.pid)"
}

@test "a run whose lock del --lock broke leaves no mark" {
  hold once --ttl 1h
  equal 1 "$(memolock del --tag t --id x --lock)"
  once -- counted true
  release a
  finish $holder
  equal 3 "$status"
  contains "$(<err)" 'the mark was not stored'
  equal 0 "$(mark hget status)"
  ran_times 1
}

@test "a mark is stored even if the lock has vanished, unless a newer run has stored one" {
  hold once --ttl 1h
  redis del t/lock:x >/dev/null
  release a
  finish $holder
  equal 3 "$(mark hget status)"
  rm a.*
  memolock del --tag t --id x >/dev/null
  hold once --ttl 1h
  redis del t/lock:x >/dev/null
  once -- counted true
  release a
  finish $holder
  equal 0 "$(mark hget status)"
  contains "$(<err)" 'the mark was not stored'
}

# ---- a server that fails ----

@test "an unreachable server is an error, and the command does not run" {
  end "$REDIS_PID"
  for verb in 'once --ttl 1h' lock; do
    read -ra words <<<"$verb"
    refused "$REDIS_SOCKET" memolock "${words[@]}" --tag t --id x -- counted true
    refused "$REDIS_SOCKET" memolock "${words[@]}" --on-store-error fail --tag t --id x -- counted true
  done
  ran_times 0
}

@test "a waiter that loses the server ends with an error" {
  hold lock
  spawn "$MEMOLOCK_BIN" lock --tag t --id x --lease 300ms -- counted true 2>waiter.err
  await is_waiting $!
  end "$REDIS_PID"
  finish $!
  equal 125 "$status"
  one_own_line "$(<waiter.err)"
  ran_times 0
  release a
}

# bats test_tags=slow
@test "a server that dies during the run costs the mark, but not the status" {
  hold once --ttl 1h
  end "$REDIS_PID"
  release a
  finish $holder
  equal 3 "$status"
  one_own_line "$(<err)"
  contains "$(<err)" 'the mark was not stored'
}

@test "a mark is stored even if the server has no free memory" {
  hold once --ttl 1h
  redis config set maxmemory 1 >/dev/null
  release a
  finish $holder
  equal 3 "$status"
  is_empty err
  once -- counted true
  ran_times 0
}

# bats test_tags=slow
@test "a server that cannot save costs the mark, and a waiter gets its turn when the lease ends" {
  # until its end the waiter must not ask the server, which still refuses
  hold once --ttl 1h --lease 15s
  spawn "$MEMOLOCK_BIN" lock --tag t --id x --lease 15s -- counted true
  await is_waiting $!
  cannot_save
  release a
  finish $holder
  equal 3 "$status"
  one_own_line "$(<err)"
  contains "$(<err)" 'the mark was not stored'
  ran_times 0
  redis config set stop-writes-on-bgsave-error no >/dev/null
  finish "${spawned[-1]}"
  equal 0 "$status"
  ran_times 1
  equal 0 "$(redis dbsize)"
}

@test "a password appears in no mark, message or process list" {
  redis config set requirepass hidden-word >/dev/null
  export MEMOLOCK_STORE=redis+unix://:hidden-word@$REDIS_SOCKET
  run -0 once -v -- sh -c 'cat /proc/$PPID/cmdline'
  lacks "$output" hidden-word
  lacks "$(REDISCLI_AUTH=hidden-word mark hgetall)" hidden-word
  run -0 memolock once -v --store "$MEMOLOCK_STORE" --tag t --id y --ttl 1h -- sh -c 'tr "\0" " " </proc/$PPID/cmdline'
  lacks "$output" hidden-word
}

@test "a holder that lost its lock does not overwrite a newer run's mark" {
  spawn "$MEMOLOCK_BIN" once --tag t --id x --ttl 1h --lease 1s -- held a sh -c 'exit 5' 2>err
  holder=$!
  await test -e a.started
  # the lock vanishes before the holder renews it, and another run takes place
  kill -STOP $holder
  redis del t/lock:x >/dev/null
  run -0 memolock once --tag t --id x --ttl 1h -- counted true
  ran_times 1
  redis config resetstat >/dev/null
  kill -CONT $holder
  await renewed 1
  release a
  finish $holder
  equal 5 "$status"
  contains "$(<err)" 'the lease was lost to another holder'
  equal 0 "$(mark hget status)"
  equal 0 "$(redis exists t/lock:x)"
}
