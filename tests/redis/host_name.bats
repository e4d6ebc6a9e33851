#!/usr/bin/env bats
# Looking up the name of a Redis server: /etc/hosts and the DNS, whatever its servers do.
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

# reaches NAME [OPTION…]: the Redis server answers by that name. The time that a test allows is many times that of a
# look-up that goes well, and less than one that waits in vain.
reaches() {
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 20s "${@:2}" "redis://$1:$REDIS_PORT" PING
  equal '' "$stderr"
  equal +PONG "$output"
}

# reaches_not TEXT NAME [OPTION…]
reaches_not() {
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 20s "${@:3}" "redis://$2:$REDIS_PORT" PING
  equal 1 "$status"
  equal "store: the store at $2:$REDIS_PORT: $1" "$stderr"
}

# start_talk NAME: $talk does the same in the background, and has all the time there is; what comes of it is in said.
start_talk() {
  spawn "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 60s "redis://$1:$REDIS_PORT" PING >said 2>&1
  talk=$!
}

@test "an IPv4 address is used though IPv6 is never answered, and the other way round" {
  name_server 'A four.test 127.0.0.1' 'A six.test mute' 'AAAA six.test ::1' '* * mute'
  reaches four.test
  asked 0 'AAAA four.test udp'
  reaches six.test
}

@test "a name with addresses of one kind alone" {
  name_server 'A four.test 127.0.0.1' 'AAAA four.test none' 'A six.test none' 'AAAA six.test ::1'
  reaches four.test
  reaches six.test
  equal '0 A four.test udp
0 A six.test udp
0 AAAA four.test udp
0 AAAA six.test udp' "$(questions | sort -u)"
}

@test "a server that says there is no such name when it is asked for IPv6 does not hide IPv4" {
  name_server 'A four.test 127.0.0.1'
  reaches four.test
}

@test "connecting begins while the other kind is awaited, and takes what comes late" {
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

@test "silent name servers cost little each" {
  for _ in {1..5}; do name_server '* * mute'; done
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
  for i in {0..5}; do asked "$i" 'A redis.test udp'; done
}

@test "what a silent name server costs is paid once, whatever has to be asked" {
  name_server '* * mute'
  name_server 'A redis.far.test 127.0.0.1' 'AAAA redis.far.test none'
  echo "search $(printf '%s.test ' {a..k}) far.test" >>etc/resolv.conf
  reaches redis
  equal '0 A redis.a.test udp' "$(questions | grep '^0 A ' | sort -u)"
  equal 12 "$(questions | grep '^1 A ' | sort -u | wc -l)"
}

@test "a name server that fails, refuses or cannot be reached is passed over" {
  refusing_name_server
  name_server '* * servfail'
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
  asked 1 'A redis.test udp'
}

@test "where every name server refuses, that is told at once" {
  reaches_not 'cannot resolve the host name' redis.test
  refusing_name_server
  reaches_not 'cannot resolve the host name' redis.test
  refusing_name_server
  echo 'search a.test b.test' >>etc/resolv.conf
  for name in redis redis.test; do reaches_not 'cannot resolve the host name' "$name"; done
}

@test "where the only name server refuses from afar, that is told at once" {
  make_network 2
  lay_wire 1
  wire 30 0 30 0
  echo "nameserver ${hosts[1]}" >etc/resolv.conf
  own_etc=(ip netns exec "$network.0" "${own_etc[@]:${#own_net[@]}}")
  reaches_not 'cannot resolve the host name' redis.test
}

@test "a name server that fails is asked once more, and not four times" {
  name_server '* * servfail'
  reaches_not 'cannot resolve the host name' redis.test
  has_been_asked_twice
  (($(questions | grep -c '^0 A ') < 4))
}

@test "a name server that refuses hides neither one that is silent nor one that is late" {
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

@test "a name server that does not answer at first is still listened to" {
  name_server "A redis.test once:go:127.0.0.1" 'AAAA redis.test none'
  start_talk redis.test
  await has_been_asked_twice
  : >go
  finish "$talk"
  equal +PONG "$(<said)"
}
has_been_asked_twice() { (($(questions | grep -c '^0 A redis.test udp$') > 1)); }

@test "a name that does not exist is told at once, also where IPv6 is never answered" {
  name_server 'AAAA mute.test mute'
  name_server '* * mute'
  for name in none.test mute.test; do reaches_not 'cannot resolve the host name' "$name"; done
  echo 'search a.test b.test' >>etc/resolv.conf
  reaches_not 'cannot resolve the host name' none
  equal '0 A none udp
0 A none.a.test udp
0 A none.b.test udp' "$(questions | grep '^0 A none[. ]' | grep -v none.test | sort -u)"
}

@test "where no name server says anything the call ends with its time" {
  name_server '* * mute'
  name_server '* * mute'
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 2s "redis://redis.test:$REDIS_PORT" PING
  equal "store: the store at redis.test:$REDIS_PORT: cannot resolve the host name within 2s" "$stderr"
  await has_been_asked_twice
  await asked 1 'A redis.test udp'
}

@test "a truncated answer is fetched over TCP" {
  name_server 'A redis.test tcp:127.0.0.1' 'AAAA redis.test tcp:none'
  reaches redis.test
  asked 0 'A redis.test tcp'
}

@test "what is no answer does no harm" {
  name_server '* * garbage'
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 1s "redis://redis.test:$REDIS_PORT" PING
  contains "$stderr" "store: the store at redis.test:$REDIS_PORT: cannot resolve the host name"
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
}

@test "aliases, final dots, and names that are given to others" {
  name_server 'A redis.test 127.0.0.1' 'A alias.test alias:redis.test' '* * none'
  reaches alias.test
  reaches redis.test.
  echo 'short alias.test' >aliases
  HOSTALIASES=aliases reaches short
}

@test "a name in the hosts file is not asked for, and localhost never is" {
  name_server '* * mute'
  printf '127.0.0.1 four.test\n::1 six.test\n' >>etc/hosts
  for name in four.test six.test localhost 127.0.0.1 '[::1]'; do reaches "$name"; done
  echo '127.0.0.9 refused.test' >>etc/hosts
  reaches_not 'connection refused' refused.test
  equal '' "$(questions)"
}

@test "when all addresses of one kind refuse, the other kind is awaited for its turn and no longer" {
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
  # and not until all have been asked four times, which takes 14 s
  (($(questions | grep -c ' AAAA four.test udp') < 12))
  (($(questions | grep -c ' A six.test udp') < 12))
}

@test "the hosts file and resolv.conf are read once for a name" {
  ! is_sanitized || skip 'built with a sanitizer'
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  "${own_etc[@]}" strace -f -o trace "$HELPERS/redis_talk" "redis://redis.test:$REDIS_PORT" PING
  equal 1 "$(grep -c '"/etc/hosts"' trace)"
  # once more with c-ares 1.34
  (($(grep -c '"/etc/resolv.conf"' trace) <= 2))
}
