#!/usr/bin/env bats
# Looking up the name of a Redis server: /etc/hosts and the DNS, whatever its servers do.

load helpers/common

# Name servers are asked at port 53, which only root can take, and the files below /etc are read.
setup() {
  isolate
  unset RES_OPTIONS LOCALDOMAIN CARES_HOSTS HOSTALIASES
  { ((EUID == 0)) && unshare -m true 2>/dev/null; } || skip 'mounts and port 53 are not allowed here'
  start_redis
  mkdir etc
  echo '127.0.0.1 localhost' >etc/hosts
  echo 'hosts: files dns' >etc/nsswitch.conf
}

# name_server RULE…: one more, the next in resolv.conf; see helpers/name_server.py.
name_server() {
  local address=127.$((RANDOM % 200 + 1)).$((RANDOM % 250)).$((RANDOM % 250 + 1))
  name_servers+=("$address")
  spawn "$helpers/name_server.py" "$address" "$PWD/log.$address" "$@"
  await test -e "log.$address"
  echo "nameserver $address" >>etc/resolv.conf
}
name_servers=()

# questions: "N TYPE NAME TRANSPORT" of each question, N the number of the name server that was asked, from 0.
questions() {
  local i
  for i in "${!name_servers[@]}"; do sed "s/^[^ ]*/$i/" "log.${name_servers[i]}"; done
}

# asked N LINE: how often that name server was asked this.
asked() { questions | grep -cx "$1 $2"; }

# A prefix for a command, which has the test's resolver settings.
# shellcheck disable=SC2016 # the inner shell's
own_etc=(unshare -m sh -c 'mount --bind etc /etc && exec "$@"' -)

# reaches NAME [OPTION…]: the Redis server answers by that name. The time that a test allows is many times that of a
# look-up that goes well, and less than one that waits in vain.
reaches() {
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 8s "${@:2}" "redis://$1:$REDIS_PORT" PING
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
  equal 1 "$(asked 0 'AAAA four.test udp')"
  reaches six.test
}

@test "a name with addresses of one kind alone" {
  name_server 'A four.test 127.0.0.1' 'AAAA four.test none' 'A six.test none' 'AAAA six.test ::1'
  reaches four.test
  reaches six.test
  equal '0 A four.test udp
0 A six.test udp
0 AAAA four.test udp
0 AAAA six.test udp' "$(questions | sort)"
}

@test "a server that says there is no such name when it is asked for IPv6 does not hide IPv4" {
  name_server 'A four.test 127.0.0.1'
  reaches four.test
}

@test "connecting begins while the other kind is awaited, and takes what comes late" {
  name_server 'A both.test 127.0.0.9' 'AAAA both.test once:go:::1'
  spawn "$HELPERS/serve_bytes" "127.0.0.9:$REDIS_PORT" mute >is_mute
  await test -s is_mute
  start_talk both.test
  await is_connecting
  is_empty said
  : >go
  finish "$talk"
  equal +PONG "$(<said)"
}
is_connecting() { ss -tnpH "dst 127.0.0.9:$REDIS_PORT" | grep -q "pid=$talk,"; }

@test "silent name servers cost little each" {
  for _ in {1..5}; do name_server '* * mute'; done
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
  for i in {0..4}; do equal 1 "$(asked "$i" 'A redis.test udp')"; done
}

@test "what a silent name server costs is paid once, whatever has to be asked" {
  name_server '* * mute'
  name_server 'A redis.far.test 127.0.0.1' 'AAAA redis.far.test none'
  echo "search $(printf '%s.test ' {a..k}) far.test" >>etc/resolv.conf
  reaches redis
  equal '0 A redis.a.test udp' "$(questions | grep '^0 A ')"
  equal 12 "$(questions | grep -c '^1 A ')"
}

@test "a name server that fails, refuses or cannot be reached is passed over" {
  echo 'nameserver 127.9.9.9' >etc/resolv.conf
  name_servers=(none)
  : >log.none
  name_server '* * servfail'
  name_server 'A redis.test 127.0.0.1' 'AAAA redis.test none'
  reaches redis.test
  equal 1 "$(asked 1 'A redis.test udp')"
}

@test "a name server that does not answer at first is still listened to" {
  name_server "A redis.test once:go:127.0.0.1" 'AAAA redis.test none'
  start_talk redis.test
  await has_been_asked_twice
  : >go
  finish "$talk"
  equal +PONG "$(<said)"
}
has_been_asked_twice() { (($(asked 0 'A redis.test udp') > 1)); }

@test "a name that does not exist is told at once, also where IPv6 is never answered" {
  name_server 'AAAA mute.test mute'
  name_server '* * mute'
  for name in none.test mute.test; do reaches_not 'cannot resolve the name' "$name"; done
  equal 0 "$(questions | grep -c '^1 ')"
  echo 'search a.test b.test' >>etc/resolv.conf
  reaches_not 'cannot resolve the name' none
  equal '0 A none udp
0 A none.a.test udp
0 A none.b.test udp' "$(questions | grep '^0 A none[. ]' | grep -v none.test | sort)"
}

@test "where no name server says anything the call ends with its time" {
  name_server '* * mute'
  name_server '* * mute'
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 1s "redis://redis.test:$REDIS_PORT" PING
  equal "store: the store at redis.test:$REDIS_PORT: cannot resolve the name within 1s" "$stderr"
  equal 2 "$(questions | grep -c '^0 A ')"
}

@test "a truncated answer is fetched over TCP" {
  name_server 'A redis.test tcp:127.0.0.1' 'AAAA redis.test tcp:none'
  reaches redis.test
  equal 1 "$(asked 0 'A redis.test tcp')"
}

@test "what is no answer does no harm" {
  name_server '* * garbage'
  run --separate-stderr "${own_etc[@]}" "$HELPERS/redis_talk" --timeout 1s "redis://redis.test:$REDIS_PORT" PING
  contains "$stderr" "store: the store at redis.test:$REDIS_PORT: cannot resolve the name"
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
