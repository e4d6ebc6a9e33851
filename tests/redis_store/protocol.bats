#!/usr/bin/env bats
# memolock and another client, written from memolock-protocol(7) alone, share a server.
# store: redis

load ../helpers/common

token=0123456789abcdef0123456789abcdef-1700000000000-42@else%2dwhere

xxh3() { printf '%s' "$1" | xxhsum -H3 - | grep -oE '[0-9a-f]{16}'; } # the hash's column depends on the version

# record OUT ERR STATUS FATE: the fields and values of a run that has just ended, one word each.
record() {
  local now
  now=$(redis time | paste -sd ' ' | awk '{ printf "%d%06d", $1, $2 }')
  printf '%s\n' version 1 token "$token" end 0 status "$3" begun $((now - 1000000)) ended "$now" run 1000000 \
    ttl 3600000000 stale 0 retained 3600000000 own_ttl 0 own_stale 0 host elsewhere pid 42 \
    length ${#1} hash "$(xxh3 "$1")" err_length ${#2} err_hash "$(xxh3 "$2")" fate "$4" troubles 0 stderr "$2"
}

# take_lock: takes the lock and starts a memolock that waits for it; its streams are in out and err.
take_lock() {
  equal OK "$(redis set t/lock:x "$token" nx px 30000)"
  spawn_get -v -- counted echo mine >out 2>err
  waiter=$!
  await is_waiting "$waiter"
  contains "$(<err)" 'waiting for else-where:42, running for'
}

# at_once_all LINE…: executes the lines as a transaction.
at_once_all() { printf '%s\n' multi "$@" exec | redis >/dev/null; }

# quoted WORD…: quotes the words for redis-cli.
quoted() { printf ' "%s"' "$@"; }

@test "a value that another client stores with its meta is an entry with streams, status and age" {
  take_lock
  mapfile -t fields < <(record theirs note 0 1)
  at_once_all 'set t:x theirs px 3600000' "hset t/meta:x$(quoted "${fields[@]}")" 'pexpire t/meta:x 3600000' \
    'del t/lock:x' 'publish t/notif:x theirs'
  finish "$waiter"
  equal '0 theirs' "$status $(<out)"
  contains "$(<err)" note
  run --separate-stderr -- memolock get --tag t --id x
  equal 'theirs note' "$output $stderr"
  contains "$(memolock ls --tag t)" '	fresh	'
  ran_times 0
  store_is_clean
}

@test "a value with a meta that does not belong to it is treated as another program's" {
  mapfile -t fields < <(record theirs note 0 1)
  at_once_all 'set t:x others px 3600000' "hset t/meta:x$(quoted "${fields[@]}")" 'pexpire t/meta:x 3600000'
  run --separate-stderr -- memolock get --tag t --id x
  equal '0 others ' "$status $output $stderr"
}

@test "an outcome that another client shares reaches the waiters of its run, and no later caller" {
  take_lock
  mapfile -t fields < <(record partial 'no luck' 7 2)
  at_once_all 'del t/run:x' "hset t/run:x$(quoted "${fields[@]}") stdout partial" 'pexpire t/run:x 10000' \
    'del t/lock:x' "publish t/fail:x $token"
  finish "$waiter"
  equal '7 partial' "$status $(<out)"
  contains "$(<err)" 'no luck'
  run memolock get --tag t --id x
  equal 1 "$status"
  ran_times 0
}

@test "when another client releases the lock, memolock takes over" {
  take_lock
  at_once_all 'del t/lock:x' "publish t/fail:x $token"
  finish "$waiter"
  equal '0 mine' "$status $(<out)"
  ran_times 1
  store_is_clean
}

@test "when another client could not store, its waiters run the command, and its lock remains" {
  take_lock
  at_once_all 'pexpire t/lock:x 20000' "publish t/fail:x $token"
  finish "$waiter"
  equal '0 mine' "$status $(<out)"
  equal "$token" "$(redis get t/lock:x)"
  ran_times 1
}

@test "renew without --lease uses the lease in the token, or else 10 s, whatever a variable says" {
  export MEMOLOCK_LEASE=30s
  spawn_get --external --lease 1h -- held a true
  await test -e a.started
  token=$(holder)
  [[ $token == *-3600000-external@* ]] || fail "no lease in $token"
  end $!
  secret=$(printf '%032x' 7)
  # in one of several attempts: the lock can expire before the renewal
  is_extended() {
    redis set t/lock:x "$token" px 4500 >/dev/null
    memolock renew --tag t --id x --token "$token" || return
    left=$(redis pttl t/lock:x)
    ((at_least <= left && left <= at_most))
  }
  while read -r token at_least at_most; do
    patience=20 await is_extended || fail "$token lives for ${left-0} ms"
  done <<END
$token 3590000 3600200
$secret-1700000000000-42-60000-external@host 50000 60200
$secret-1700000000000-42-60000@host 50000 60200
$secret-1700000000000-42@host 5000 10200
$secret-1700000000000-42-external@host 5000 10200
$secret-1700000000000-42-0-external@host 5000 10200
$secret-1700000000000-42-99999999999999999999-external@host 5000 10200
foreign 5000 10200
END
}

@test "the meta of an entry that memolock stores matches the specification" {
  memolock get --tag t --id x --ttl 1h --stale 1h -- sh -c 'printf out; printf err >&2' 2>/dev/null
  equal out "$(redis get t:x)"
  for pair in version=1 end=0 status=0 ttl=3600000000 retained=7200000000 own_ttl=0 length=3 err_length=3 fate=1 \
    "hash=$(xxh3 out)" "err_hash=$(xxh3 err)" stderr=err "sha1=$(printf out | sha1sum | cut -d ' ' -f 1)"; do
    equal "$pair" "${pair%%=*}=$(redis hget t/meta:x "${pair%%=*}")"
  done
  left=$(redis pttl t:x)
  ((left > 7190000 && left <= 7200000)) || fail "it expires in $left ms"
}
