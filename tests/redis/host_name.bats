#!/usr/bin/env bats
# Looking up the host name of a Redis server in /etc/hosts and the DNS, however its servers behave.
# store: redis

load ../helpers/common
load ../helpers/names
load ../helpers/network

setup() {
  isolate
  own_names
  start_redis
}

teardown() {
  end_all
  remove_network
}

# reaches NAME [OPTION…]: asserts that the Redis server answers at that name. The time limit of a test is many times
# that of a successful look-up, and shorter than a wait for a missing answer.
reaches() {
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 20s "${@:2}" "redis://$1:$REDIS_PORT" PING
  equal '' "$stderr"
  equal +PONG "$output"
}

# reaches_not TEXT NAME [OPTION…]: asserts that it fails with TEXT.
reaches_not() {
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 20s "${@:3}" "redis://$2:$REDIS_PORT" PING
  equal 1 "$status"
  equal "store: the store at $2:$REDIS_PORT: $1" "$stderr"
}

# start_talk NAME: starts such a look-up in the background with a long timeout; $talk is its pid, its output is in said.
start_talk() {
  spawn "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 60s "redis://$1:$REDIS_PORT" PING >said 2>&1
  talk=$!
}

# questions_are PATTERN LINES: whether these are the different questions that match. A question to a silent server may be
# recorded only after the look-up has ended.
questions_are() { [[ $(questions | grep "$1" | sort -u) == "$2" ]]; }

@test "an IPv4 address is used even if the query for IPv6 is never answered, and vice versa" {
  name_server 'A four.test 127.0.0.1' 'A six.test mute' 'AAAA six.test ::1' '* * mute'
  reaches four.test
  await asked 0 'AAAA four.test udp'
  reaches six.test
}

@test "a name can have addresses of one kind only" {
  name_server 'A four.test 127.0.0.1' 'AAAA four.test none' 'A six.test none' 'AAAA six.test ::1'
  reaches four.test
  reaches six.test
  await questions_are '' '0 A four.test udp
0 A six.test udp
0 AAAA four.test udp
0 AAAA six.test udp'
}

@test "an answer that the name does not exist for IPv6 does not hide its IPv4 address" {
  name_server 'A four.test 127.0.0.1'
  reaches four.test
}

@test "connecting begins before the other kind is known, and uses addresses that arrive late" {
  name_server 'A both.test 127.0.0.9' 'AAAA both.test once:go:::1'
  spawn_server "${own_net[@]}" "$HELPERS/serve_bytes" "127.0.0.9:$REDIS_PORT" mute >is_mute
  await test -s is_mute
  start_talk both.test
  await is_connecting
  is_empty said
  : >go
  finish "$talk"
  equal +PONG "$(<said)"
}
is_connecting() { "${own_net[@]}" ss -tnpH "dst 127.0.0.9:$REDIS_PORT" | grep -q "pid=$talk,"; }

@test "a name server that does not respond costs little time" {
  for _ in {1..5}; do name_server '* * mute'; done
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
  for i in {0..5}; do await asked "$i" 'A redis.test udp'; done
}

@test "the delay of a silent name server is paid once, for any number of queries" {
  name_server '* * mute'
  name_server 'A redis.far.test 127.0.0.1' 'AAAA redis.far.test none'
  echo "search $(printf '%s.test ' {a..k}) far.test" >>etc/resolv.conf
  reaches redis
  await questions_are '^0 A ' '0 A redis.a.test udp'
  equal 12 "$(questions | grep '^1 A ' | sort -u | wc -l)"
}

@test "a name server that fails, refuses or is unreachable is skipped" {
  refusing_name_server
  name_server '* * servfail'
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
  await asked 1 'A redis.test udp'
}

@test "if every name server refuses, this is reported immediately" {
  reaches_not 'cannot resolve the host name' redis.test
  refusing_name_server
  reaches_not 'cannot resolve the host name' redis.test
  refusing_name_server
  echo 'search a.test b.test' >>etc/resolv.conf
  for name in redis redis.test; do reaches_not 'cannot resolve the host name' "$name"; done
}

@test "if the only name server refuses over a slow network, this is reported immediately" {
  make_network 2
  lay_wire 1
  wire 30 0 30 0
  echo "nameserver ${hosts[1]}" >etc/resolv.conf
  own_etc=(ip netns exec "$network.0" "${own_etc[@]:${#own_net[@]}}")
  reaches_not 'cannot resolve the host name' redis.test
}

@test "a name server that fails is asked a second time, but not four times" {
  name_server '* * servfail'
  # an answer that takes two seconds is too late for that
  is_asked_twice() {
    : >"log.${name_servers[0]}"
    reaches_not 'cannot resolve the host name' redis.test || return
    has_been_asked_twice && (($(questions | grep -c '^0 A ') < 4))
  }
  await is_asked_twice
}

@test "a name server that refuses does not hide one that is silent or late" {
  refusing_name_server
  name_server '* * mute'
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 1s "redis://redis.test:$REDIS_PORT" PING
  equal "store: the store at redis.test:$REDIS_PORT: cannot resolve the host name within 1s" "$stderr"
  await asked 1 'A redis.test udp'
  await asked 1 'AAAA redis.test udp'
  name_server 'A redis.test once:go:127.0.0.1' 'AAAA redis.test once:go:none'
  start_talk redis.test
  await asked 2 'A redis.test udp'
  : >go
  finish "$talk"
  equal +PONG "$(<said)"
}

@test "a late answer of a name server is still used" {
  name_server "A redis.test once:go:127.0.0.1" 'AAAA redis.test none'
  start_talk redis.test
  await has_been_asked_twice
  : >go
  finish "$talk"
  equal +PONG "$(<said)"
}
has_been_asked_twice() { (($(questions | grep -c '^0 A redis.test udp$') > 1)); }

@test "a name that does not exist is reported immediately, even if the query for IPv6 is never answered" {
  name_server 'AAAA mute.test mute'
  name_server '* * mute'
  for name in none.test mute.test; do reaches_not 'cannot resolve the host name' "$name"; done
  echo 'search a.test b.test' >>etc/resolv.conf
  reaches_not 'cannot resolve the host name' none
  equal '0 A none udp
0 A none.a.test udp
0 A none.b.test udp' "$(questions | grep '^0 A none[. ]' | grep -v none.test | sort -u)"
}

@test "if no name server answers, the call ends after its timeout" {
  name_server '* * mute'
  name_server '* * mute'
  start_talk redis.test
  await has_been_asked_twice
  await asked 1 'A redis.test udp'
  end "$talk"
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 1s "redis://redis.test:$REDIS_PORT" PING
  equal "store: the store at redis.test:$REDIS_PORT: cannot resolve the host name within 1s" "$stderr"
}

@test "a truncated answer is requested again over TCP" {
  name_server 'A redis.test tcp:127.0.0.1' 'AAAA redis.test tcp:none'
  reaches redis.test
  asked 0 'A redis.test tcp'
}

@test "an invalid answer is ignored" {
  name_server '* * garbage'
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 1s "redis://redis.test:$REDIS_PORT" PING
  contains "$stderr" "store: the store at redis.test:$REDIS_PORT: cannot resolve the host name"
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
}

@test "aliases, a final dot and HOSTALIASES work" {
  name_server 'A redis.test 127.0.0.1' 'A alias.test alias:redis.test' '* * none'
  reaches alias.test
  reaches redis.test.
  echo 'short alias.test' >aliases
  HOSTALIASES=aliases reaches short
}

@test "a name in the hosts file is not looked up in the DNS, and neither is localhost" {
  name_server '* * mute'
  printf '127.0.0.1 four.test\n::1 six.test\n' >>etc/hosts
  for name in four.test six.test localhost 127.0.0.1 '[::1]'; do reaches "$name"; done
  echo '127.0.0.9 refused.test' >>etc/hosts
  reaches_not 'connection refused' refused.test
  equal '' "$(questions)"
}

@test "if all addresses of one kind refuse, memolock waits for the other kind, but not for its last attempt" {
  name_server 'A four.test 127.0.0.1' 'AAAA six.test ::1' '* * mute'
  name_server '* * mute'
  name_server '* * mute'
  for name in four.test six.test; do
    run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 20s "redis://$name:1" PING
    equal "store: the store at $name:1: connection refused" "$stderr"
  done
  for i in 0 1 2; do
    await asked "$i" 'AAAA four.test udp'
    await asked "$i" 'A six.test udp'
  done
  # a fourth attempt at each server would take 14 s
  (($(questions | grep -c ' AAAA four.test udp') < 12))
  (($(questions | grep -c ' A six.test udp') < 12))
}

@test "the hosts file and resolv.conf are read once for each name" {
  ! is_sanitized || skip 'built with a sanitizer'
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  "${own_etc[@]}" strace -f -o trace "$HELPERS/redis_talk" "redis://redis.test:$REDIS_PORT" PING
  equal 1 "$(grep -c '"/etc/hosts"' trace)"
  # c-ares 1.34 reads it a second time
  (($(grep -c '"/etc/resolv.conf"' trace) <= 2))
}
