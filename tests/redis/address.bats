#!/usr/bin/env bats
# The URL of a Redis store: what it means, and how messages show it.
# store: redis

load ../helpers/common

shown() { "$HELPERS/redis_talk" --shown "$@"; }

# means URL ADDRESS [SAFE-URL]: asserts that the URL is valid, its address, and how it is shown, without a password.
means() {
  run --separate-stderr shown "$1"
  equal '' "$stderr"
  equal "${3-$1}"$'\n'"$2" "${output%$'\n'*}"
}

# are_one STORE URL…: asserts that all these URLs mean one store, of which the first is the shortest URL.
are_one() {
  local url
  for url in "$@"; do
    run --separate-stderr shown "$url"
    equal '' "$stderr"
    equal "$1" "${output##*$'\n'}"
  done
}

# no_url URL PART: asserts that the URL is refused, that the message contains PART, and that it quotes no other part.
no_url() {
  run --separate-stderr shown "$1"
  equal 1 "$status"
  contains "$stderr" "usage: the store's URL $2"
  for part in secret hunter2 alice nowhere; do lacks "$stderr" "$part"; done
  [[ $1 != *@* ]] || lacks "$output" secret
}

@test "a URL can have a host, a port and a database" {
  means redis://host host:6379
  means redis://host:7000/3 host:7000
  means rediss://host/ host:6379
  means redis://10.0.0.7:1 10.0.0.7:1
  means 'redis://[::1]' '[::1]:6379'
  means 'redis://[2001:db8::7]:7000/1' '[2001:db8::7]:7000'
}

@test "the path of a socket can contain an @ and escapes" {
  means redis+unix:///run/redis/socket /run/redis/socket
  means 'redis+unix:///run/a@b%20c?db=2' '/run/a@b c'
  means redis+unix://:secret@/run/a@b /run/a@b redis+unix:///run/a@b
}

@test "a URL can have sentinels and the name of their primary" {
  means redis+sentinel://a/main 'main by a:26379'
  means redis+sentinel://a:1,b,10.0.0.7:3/main/2 'main by a:1,b:26379,10.0.0.7:3'
  means 'rediss+sentinel://[::1]:7,b/main' 'main by [::1]:7,b:26379'
  means redis+sentinel://alice:secret@a,b/main 'main by a:26379,b:26379' redis+sentinel://alice@a,b/main
  no_url redis+sentinel:///main 'has no host'
  no_url redis+sentinel://nowhere 'does not name a primary'
  no_url redis+sentinel://nowhere/ 'does not name a primary'
  no_url redis+sentinel://nowhere,/main 'has no host'
  no_url redis+sentinel://nowhere:x/main 'has a port'
  no_url redis+sentinel://nowhere/main/x 'has a database'
  no_url redis+sentinel://nowhere/main?x 'has a query'
}

@test "the password is not shown, but the user is" {
  means redis://alice:secret@host host:6379 redis://alice@host
  means redis://:secret@host:7000/3 host:7000 redis://host:7000/3
  means redis://alice@host host:6379
  means 'redis://alice:hunter2@secret@host' host:6379 redis://alice@host
  means 'rediss://a%40b:p%2Fw@host' host:6379 'rediss://a%40b@host'
  means redis+unix://alice:secret@/run/socket /run/socket redis+unix://alice@/run/socket
}

@test "all spellings of a store's URL mean the same store" {
  are_one redis://host redis://host/ redis://host/0 redis://host/0/ redis://host:6379 redis://HOST REDIS://host \
    valkey://host Valkey://host:6379/0 redis://default@host redis://:secret@host redis://default:secret@host
  are_one redis://alice@host:7000/3 redis://alice:secret@host:7000/3/ valkey://alice@Host:7000/3
  are_one rediss://host rediss://host/ valkeys://host:6379 VALKEYS://host
  are_one 'redis://[::1]' 'valkey://[::1]:6379/0'
  are_one 'redis://[fe80::a%25Eth0]' 'valkey://[FE80::A%25Eth0]:6379'
  are_one 'redis://a%40b@host' 'redis://a%40b:p%2Fw@host/'
  are_one 'redis+unix:///run/a%40b%20c?db=2' 'redis+unix:///run/a@b c?db=2' 'valkey+unix://:secret@/run/a%40b%20c?db=2'
  are_one redis+unix:///run/socket 'Redis+Unix:///run/socket?db=0'
  are_one redis+sentinel://a,b:1/main redis+sentinel://A:26379,b:1/main/0/ valkey+sentinel://a,b:1/main/
  are_one rediss+sentinel://a/main/2 valkeys+sentinel://a/main/2/
  are_one redis+cluster://a,b:1 redis+cluster://a:6379,b:1/0/ valkey+cluster://a,b:1/
  are_one rediss+cluster://a valkeys+cluster://a
}

@test "the command gets the same URL of the store, however its caller spells it" {
  start_redis
  for url in "REDIS+UNIX://$REDIS_SOCKET?db=0" "valkey+unix://$REDIS_SOCKET" "redis+unix://default@$REDIS_SOCKET"; do
    # shellcheck disable=SC2016
    equal "redis+unix://$REDIS_SOCKET" "$(memolock get --store "$url" --id x --ttl 1h --refresh -- sh -c 'echo "$MEMOLOCK_STORE"')"
  done
  equal 1 "$(redis keys 'default:x' | wc -l)"
}

@test "while the server is unreachable, callers that spell its URL differently share a run" {
  export MEMOLOCK_TTL=1h
  id=$$.$BATS_TEST_NUMBER
  spawn "$MEMOLOCK_BIN" get --store redis://localhost:1 --id "$id" -- held a counted >a.out 2>a.err
  holder=$!
  await test -e a.started
  waiters=()
  for url in redis://localhost:1/ redis://LOCALHOST:1/0 VALKEY://:secret@localhost:1/0/ redis://default@localhost:1; do
    spawn "$MEMOLOCK_BIN" get -v --store "$url" --id "$id" -- counted >>b.out 2>>b.err
    waiters+=($!)
  done
  await began_to_wait 4 b.err
  release a
  for pid in "$holder" "${waiters[@]}"; do
    finish "$pid"
    equal 0 "$status"
  done
  ran_times 1
}

@test "for a host without a scheme the message has the correct URL, without a password" {
  for host in 127.0.0.1:6379 localhost:6379 localhost host:6379 redis.example.com '[::1]:6379' host:6379/2; do
    refused "--store: '$host' has no scheme; for a Redis server write redis://$host" memolock ls --store "$host"
  done
  for host in alice:secret@host:6379 alice:sec:secret@host:6379 alice:a@secret@host:6379; do
    refused "--store: 'alice@host:6379' has no scheme; for a Redis server write redis://alice@host:6379" \
      memolock ls --store "$host"
  done
  refused "'host:6379' has no scheme" memolock ls --store :secret@host:6379
  for text in alice:sec/secret@host secret:secret@ alice:secret@host:port; do
    run -125 --separate-stderr memolock ls --store "$text"
    lacks "$stderr" "${text#*:}"
  done
  refused "'/var/x' has no scheme; for a directory write file:///var/x" memolock ls --store /var/x
  refused "'//var/x' has no scheme; for a directory write file:///var/x" memolock ls --store //var/x
}

@test "a password is not printed if slashes precede the host" {
  for words in 'ls --store //alice:secret@host' 'get --id x --ttl 1h --store=//alice:secret@host -- counted true'; do
    # shellcheck disable=SC2086
    refused "--store: 'alice@host' has no scheme; for a Redis server write redis://alice@host" memolock $words
  done
  for text in /alice:secret@host ///alice:secret@host //alice:sec/secret@host file://alice:secret@host \
    file:///%zz:secret@ file:/alice:secret@host redis:/alice:secret@host redis:alice:secret@host local:secret@host; do
    refused '--store: ' memolock ls --store "$text"
    lacks "$stderr" secret
    MEMOLOCK_STORE=$text refused 'MEMOLOCK_STORE: ' memolock ls
    lacks "$stderr" secret
  done
  ran_times 0
}

@test "an unexpected URL is shown without its password" {
  for text in alice:secret@host:6379 alice:a@secret@host redis://alice:secret@host redis:///alice:secret@host \
    //alice:secret@host alice:x://secret@host; do
    refused "unexpected argument '" memolock ls "$text"
    lacks "$stderr" secret
    contains "$stderr" alice
    refused "unknown verb '" memolock "$text"
    lacks "$stderr" secret
    refused 'is not a duration' memolock get --ttl "$text" -- true
    lacks "$stderr" secret
  done
}

@test "for a URL with a missing part the message names the part" {
  refused "--store: 'file:/tmp/x' is incomplete; write file:///tmp/x" memolock ls --store file:/tmp/x
  refused "'redis:host' is incomplete; write redis://host" memolock ls --store redis:host
  refused "'redis:/host' is incomplete; write redis://host" memolock ls --store redis:/host
  refused "'redis' is incomplete; write redis://alice@host" memolock ls --store redis:/alice:secret@host
  refused "'redis+unix:/run/x' is incomplete; write redis+unix:///run/x" memolock ls --store redis+unix:/run/x
  refused "'rediss+sentinel:h/m' is incomplete; write rediss+sentinel://h/m" memolock ls --store rediss+sentinel:h/m
  refused "'redis+unix' is incomplete; write redis+unix:///PATH" memolock ls --store REDIS+UNIX:x
  refused "'valkey+sentinel' is incomplete; write valkey+sentinel://HOST/NAME" memolock ls --store valkey+sentinel:
  refused "'valkeys+cluster' is incomplete; write valkeys+cluster://HOST" memolock ls --store valkeys+cluster
  for text in file file: file:x FILE:; do
    refused "'file' is incomplete; write file:///DIR" memolock ls --store "$text"
  done
  refused "'redis' is incomplete; write redis://HOST" memolock ls --store redis
  refused "'local://' is not a known store; did you mean local?" memolock ls --store local://
}

@test "an error in a store or a password file names the variable or file that it is from" {
  MEMOLOCK_STORE=bad refused "memolock: MEMOLOCK_STORE: 'bad' is not a store" memolock ls
  MEMOLOCK_STORE=redis:// refused 'memolock: MEMOLOCK_STORE: the' memolock ls
  MEMOLOCK_PASSWORD_FILE=none refused 'memolock: MEMOLOCK_PASSWORD_FILE: cannot read none' memolock ls --store redis://localhost:1
  file=$XDG_CONFIG_HOME/memolock/config.toml
  mkdir -p "${file%/*}"
  unset MEMOLOCK_STORE
  echo 'store = "bad"' >"$file"
  refused "memolock: $file: store: 'bad' is not a store" memolock ls
  refused "memolock: --store: 'worse' is not a store" memolock ls --store worse
}

@test "for a mistyped scheme the message has the closest one" {
  refused "'reddis' is not a known store; did you mean redis://HOST?" memolock ls --store reddis://alice:secret@host
  refused 'did you mean redis+sentinel://HOST/NAME?' memolock ls --store redis-sentinel://host/main
  refused 'did you mean redis+unix:///PATH?' memolock ls --store unix:///run/socket
  refused 'did you mean file:///DIR?' memolock ls --store fil:///run/socket
  refused 'did you mean valkeys://HOST?' memolock ls --store VALKEYSS://host
  refused 'did you mean local?' memolock ls --store locla
  refused "'http' is not a store; write local, file:///DIR or redis://HOST" memolock ls --store http://alice:secret@host
  mkdir -m 700 there
  run -0 memolock ls --store "FILE://$PWD/there"
}

@test "an error in a URL is described without quoting any part of the URL, which could be a password" {
  no_url redis:// 'has no host'
  no_url redis://:7000 'has no host'
  no_url redis://alice:secret@ 'has no host'
  no_url redis://alice:secret@/3 'has no host'
  no_url redis://nowhere:hunter2 'has a port that is not a number from 1 to 65535'
  no_url redis://nowhere: 'has a port'
  no_url redis://nowhere:0 'has a port'
  no_url redis://nowhere:65536 'has a port'
  no_url redis://nowhere:-1 'has a port'
  no_url redis://nowhere:7000x 'has a port'
  no_url redis://nowhere/x 'has a database that is not a number'
  no_url redis://nowhere/-1 'has a database'
  no_url redis://nowhere/99999999999 'has a database'
  no_url redis://nowhere/0/1 'has a database'
  no_url 'redis://nowhere?db=1' 'has a query'
  no_url redis://nowhere#1 'has a query or a fragment'
  no_url redis://::1 'has an IPv6 address without [ and ]'
  no_url 'redis://[::1' 'has a [ without its ]'
  no_url 'redis://[::1]7000' 'has a port'
  no_url redis://a%0ab 'has a host that is not a valid name'
  no_url redis://nowhere%2 'has a % without two hexadecimal digits after it'
  no_url redis://alice:secret%zz@host 'has a %'
  no_url redis://alice:sec/secret@host 'has a /, ? or # before its @'
  no_url redis://alice:sec#secret@host 'has a /, ? or # before its @'
  no_url redis+unix://secret 'does not name a socket'
  no_url redis+unix://host/run/socket 'does not name a socket'
  no_url 'redis+unix:///run/socket?x=1' 'has a query other than ?db=N'
  no_url 'redis+unix:///run/socket?db=1&x' 'has a database'
  no_url redis+unix:///run%00x 'has a NUL'
  no_url "redis+unix:///$(printf 'x%.0s' {1..108})" 'has a socket path that is too long'
  no_url http://alice:secret@nowhere 'is not one of redis://, rediss://, redis+unix://'
  no_url '' 'is not one of'
}
