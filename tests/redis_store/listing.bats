#!/usr/bin/env bats
# ls, del, show, stats and gc with a server as the store.
# store: redis

load ../helpers/common

teardown() {
  kill -CONT "$REDIS_PID"
  end_all
}

# asked COMMAND: how often the server has executed it since `redis config resetstat`.
asked() { redis info commandstats | sed -n "s/^cmdstat_$1:calls=\([0-9]*\),.*/\1/p"; }

@test "ls and del of a tag use SCAN, and never KEYS" {
  for id in 1 2 3; do memolock get --tag t --id $id --ttl 1h -- true; done
  redis config resetstat >/dev/null
  memolock ls >/dev/null
  memolock ls --tag t >/dev/null
  memolock del --all --tag t --dry-run >/dev/null
  memolock del --all --tag t >/dev/null
  (($(asked scan) >= 4))
  equal '' "$(asked keys)"
}

@test "show has no command: it is not stored on a server" {
  memolock get --tag t --id x --ttl 1h -- echo secret-word
  equal null "$(memolock show --tag t --id x --json | jq .entry.command)"
  lacks "$(memolock show --tag t --id x)" 'command  '
}

@test "a value that another program has stored is shown as such" {
  redis set t:x 12345 px 3600000 >/dev/null
  equal '["fresh",true,5,null]' "$(memolock show --tag t --id x --json | jq -c '.entry | [.state, .foreign, .stdout, .age]')"
  contains "$(memolock show --tag t --id x)" 'another program'
  redis set t/lock:y theirs px 3600000 >/dev/null
  equal '[null,"running",true]' "$(memolock show --tag t --id y --json | jq -c '[.entry, .run.state, .run.foreign]')"
}

# many N: stores N values of another program.
many() { redis eval 'for i = 1, ARGV[1] do redis.call("SET", "t:" .. i, "x") end' 0 "$1" >/dev/null; }

# at_a_terminal COMMAND…: runs it with stderr on a terminal and stdout in the file `out`.
at_a_terminal() { script -qec "$* >out" /dev/null </dev/null >screen; }

# slowly COMMAND…: runs it, and delays the first reply by more than a second.
slowly() {
  kill -STOP "$REDIS_PID"
  "$@" 3>&- &
  await is_asked
  sleep 1.2
  kill -CONT "$REDIS_PID"
  wait $!
}
# is_asked: whether a client has connected to the stopped server.
is_asked() { ss -xaH src "$REDIS_SOCKET" | awk '{ unread += $3 } END { exit !unread }'; }

# bats test_tags=slow
@test "a walk that takes more than a second shows its progress on a terminal, and erases it" {
  many 5000
  for walk in 'ls --tag t' 'del --all --foreign --tag t --dry-run' 'del --all --foreign --tag t'; do
    slowly at_a_terminal "$MEMOLOCK_BIN $walk"
    contains "$(<screen)" 'so far'
    # erased: the last output clears the line
    equal $'\x1b[K' "$(tail -c 3 screen)"
    lacks "$(<out)" 'so far'
  done
}

# bats test_tags=slow
@test "a walk shows no progress within a second, in a pipe, or with -q" {
  many 5000
  # a slow machine can take longer
  ends_within_a_second() {
    local start=${EPOCHREALTIME/./}
    at_a_terminal "$MEMOLOCK_BIN ls --tag t"
    ((${EPOCHREALTIME/./} - start < 1000000))
  }
  await ends_within_a_second
  is_empty screen
  slowly memolock ls --tag t >/dev/null 2>err
  is_empty err
  slowly at_a_terminal "$MEMOLOCK_BIN ls -q --tag t"
  is_empty screen
}

# bats test_tags=slow
@test "a walk that is interrupted erases its progress" {
  many 5000
  spawn "$HELPERS/slow_relay" "$PWD/relay" "$REDIS_SOCKET" --rate 40000
  await test -S relay
  export MEMOLOCK_STORE=redis+unix://$PWD/relay
  spawn script -qec "$MEMOLOCK_BIN del --all --foreign --tag t & echo \$! >pid; wait" /dev/null </dev/null >screen
  is_shown() { grep -q 'so far' screen; }
  await is_shown
  await test -s pid
  # the server is stopped, so that the walk cannot end
  kill -STOP "$REDIS_PID"
  kill -INT "$(<pid)"
  kill -TERM "$(<pid)" || true
  await is_gone "$(<pid)"
  kill -CONT "$REDIS_PID"
  finish $!
  equal $'\x1b[K' "$(tail -c 3 screen)"
}

@test "counting costs a hit on a server no request" {
  commands() { redis info stats | sed -n 's/^total_commands_processed:\([0-9]*\).*/\1/p'; }
  cost() {
    local before
    before=$(commands)
    memolock get --tag t --id x --ttl 1h -- false >/dev/null
    echo $(($(commands) - before))
  }
  memolock get --tag t --id x --ttl 1h -- true
  counted=$(cost)
  equal 1 "$(memolock stats | cut -f 2)"
  rm -r "$MEMOLOCK_CACHE_DIR"
  mkdir "$MEMOLOCK_CACHE_DIR"
  : >"$MEMOLOCK_CACHE_DIR/.stats"
  equal "$counted" "$(cost)"
}

@test "counters are in the local directory, which is created" {
  [[ ! -e $MEMOLOCK_CACHE_DIR ]]
  memolock get --tag t --id x --ttl 1h -- true
  equal t "$(memolock stats | cut -f 1)"
  equal '700 700' "$(stat -c %a "$MEMOLOCK_CACHE_DIR" "$MEMOLOCK_CACHE_DIR/.stats" | xargs)"
  # they belong to this machine and require no server
  MEMOLOCK_STORE=redis://127.0.0.1:1 run -0 memolock stats
  contains "$output" t
}

@test "gc reports that a server removes expired entries by itself, and cleans the files of this machine" {
  memolock get --tag t --id x --ttl 1h -- true
  printf '\0\0\0\0\0\0\0\1' | dd of="$MEMOLOCK_CACHE_DIR/.stats/t.counts" bs=1 seek=24 conv=notrunc status=none
  run --separate-stderr -0 memolock gc
  contains "$stderr" 'by itself'
  one_own_line "$stderr"
  equal '' "$(memolock stats)"
  equal 1 "$(memolock ls | wc -l)"
}

@test "a miss on a server starts a gc of this machine's files too" {
  memolock get --tag old --id x --ttl 1h -- true
  printf '\0\0\0\0\0\0\0\1' | dd of="$MEMOLOCK_CACHE_DIR/.stats/old.counts" bs=1 seek=24 conv=notrunc status=none
  touch -d '61 minutes ago' "$MEMOLOCK_CACHE_DIR/.gc"
  memolock get --tag t --id x --ttl 1h -- true
  is_dropped() { [[ ! -e $MEMOLOCK_CACHE_DIR/.stats/old.counts ]]; }
  await is_dropped
}

# ---- many entries, and an endless walk ----

# peak COMMAND…: the peak memory of memolock in KiB.
peak() {
  python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$MEMOLOCK_BIN" "$@"
}

# bats test_tags=slow
@test "ls and del of 300 000 entries need at most 16 MiB more than of one" {
  ! is_sanitized || skip 'built with a sanitizer'
  many 1
  local enough=$(($(peak ls --tag t) + 16384)) words
  many 300000
  for words in 'ls --tag t' 'ls --json' 'del --all --foreign --tag t --dry-run'; do
    # shellcheck disable=SC2086
    (($(peak $words) < enough)) || fail "$words: more than $enough KiB"
  done
  redis flushall >/dev/null
  many 30000
  (($(peak del --all --foreign --tag t) < enough - 12288)) || fail 'del: more than 4 MiB'
  equal 0 "$(redis dbsize)"
}

@test "ls sorts up to 100 000 names by tag and id, and lists more names unsorted, each once" {
  many 100000
  memolock ls --tag t >out
  LC_ALL=C sort -c -t $'\t' -k 2,2 out
  equal 100000 "$(wc -l <out)"
  many 100001
  memolock ls --tag t >out
  equal 100001 "$(cut -f 2 out | sort -u | wc -l)"
  equal 100001 "$(wc -l <out)"
}

@test "an entry is listed and deleted once, however many keys it has" {
  memolock get --tag t --id x --ttl 1h --artifact f -- sh -c 'echo out; echo 1 >f'
  memolock once --tag t --id x --ttl 1h -- true
  memolock get --tag t --id y --ttl 1h --cache-failures 1h -- false || true
  equal $'x\nx\ny' "$(memolock ls --tag t | cut -f 2 | sort)"
  run -0 memolock del --all --tag t
  equal 2 "$output"
}

# answering WORD…: starts a server that replies with these words to any request, and then waits.
answering() {
  spawn "$HELPERS/serve_bytes" "$PWD/server" "$@" sleep 20
  await test -S server
}

@test "a SCAN that never ends is given up" {
  local time=$'*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n'
  scanned() { printf '*2\r\n$1\r\n%s\r\n*1\r\n$3\r\nt:x\r\n' "$1"; }
  answering say "$time" say "$(scanned 7)"$'\n' say "$(scanned 7)"$'\n'
  refused 'SCAN does not end' memolock ls --store "redis+unix://$PWD/server"
  end "${spawned[-1]}"
  rm server
  local cursors=(say "$time") round
  for round in 1 2 3 4 5 1 2 3 4 5 1 2 3 4 5; do cursors+=(say "$(scanned $round)"$'\n'); done
  answering "${cursors[@]}"
  refused 'SCAN does not end' memolock ls --store "redis+unix://$PWD/server"
}
