#!/usr/bin/env bats
# The URL of a Redis store: what it means, and what people are shown of it.

load helpers/common

shown() { "$HELPERS/redis_talk" --shown "$@"; }

# means URL ADDRESS [SAFE-URL]: it is read, and shown without its password, if it has one.
means() {
  run --separate-stderr shown "$1"
  equal '' "$stderr"
  equal "${3-$1}"$'\n'"$2" "$output"
}

# no_url URL PART: it is refused for PART, and nothing of it is quoted.
no_url() {
  run --separate-stderr shown "$1"
  equal 1 "$status"
  contains "$stderr" "usage: the store's URL $2"
  for part in secret hunter2 alice nowhere; do lacks "$stderr" "$part"; done
  [[ $1 != *@* ]] || lacks "$output" secret
}

@test "a host, and what may stand around it" {
  means redis://host host:6379
  means redis://host:7000/3 host:7000
  means rediss://host/ host:6379
  means redis://10.0.0.7:1 10.0.0.7:1
  means 'redis://[::1]' '[::1]:6379'
  means 'redis://[2001:db8::7]:7000/1' '[2001:db8::7]:7000'
}

@test "a socket's path, which may hold an @ and escapes" {
  means redis+unix:///run/redis/socket /run/redis/socket
  means 'redis+unix:///run/a@b%20c?db=2' '/run/a@b c'
  means redis+unix://:secret@/run/a@b /run/a@b redis+unix:///run/a@b
}

@test "sentinels, and the name of the primary that they know" {
  means redis+sentinel://a/main 'main by a:26379'
  means redis+sentinel://a:1,b,10.0.0.7:3/main/2 'main by a:1,b:26379,10.0.0.7:3'
  means 'rediss+sentinel://[::1]:7,b/main' 'main by [::1]:7,b:26379'
  means redis+sentinel://alice:secret@a,b/main 'main by a:26379,b:26379' redis+sentinel://alice@a,b/main
  no_url redis+sentinel:///main 'names no host'
  no_url redis+sentinel://nowhere 'names no master'
  no_url redis+sentinel://nowhere/ 'names no master'
  no_url redis+sentinel://nowhere,/main 'names no host'
  no_url redis+sentinel://nowhere:x/main 'has a port'
  no_url redis+sentinel://nowhere/main/x 'has a database'
  no_url redis+sentinel://nowhere/main?x 'has a query'
}

@test "the password is not shown, the user is" {
  means redis://alice:secret@host host:6379 redis://alice@host
  means redis://:secret@host:7000/3 host:7000 redis://host:7000/3
  means redis://alice@host host:6379
  means 'redis://alice:hunter2@secret@host' host:6379 redis://alice@host
  means 'rediss://a%40b:p%2Fw@host' host:6379 'rediss://a%40b@host'
  means redis+unix://alice:secret@/run/socket /run/socket redis+unix://alice@/run/socket
}

@test "what is wrong is named, and no part of the URL, which may be a password" {
  no_url redis:// 'names no host'
  no_url redis://:7000 'names no host'
  no_url redis://alice:secret@ 'names no host'
  no_url redis://alice:secret@/3 'names no host'
  no_url redis://nowhere:hunter2 'has a port that is no number from 1 to 65535'
  no_url redis://nowhere: 'has a port'
  no_url redis://nowhere:0 'has a port'
  no_url redis://nowhere:65536 'has a port'
  no_url redis://nowhere:-1 'has a port'
  no_url redis://nowhere:7000x 'has a port'
  no_url redis://nowhere/x 'has a database that is no number'
  no_url redis://nowhere/-1 'has a database'
  no_url redis://nowhere/99999999999 'has a database'
  no_url redis://nowhere/0/1 'has a database'
  no_url 'redis://nowhere?db=1' 'has a query'
  no_url redis://nowhere#1 'has a query or fragment'
  no_url redis://::1 'has an IPv6 address without [ and ]'
  no_url 'redis://[::1' 'has a [ without its ]'
  no_url 'redis://[::1]7000' 'has a port'
  no_url redis://a%0ab 'has a host that is no name'
  no_url redis://nowhere%2 'has a % that two hexadecimal digits do not follow'
  no_url redis://alice:secret%zz@host 'has a %'
  no_url redis://alice:sec/secret@host 'has a /, ? or # before its @'
  no_url redis://alice:sec#secret@host 'has a /, ? or # before its @'
  no_url redis+unix://secret 'names no socket'
  no_url redis+unix://host/run/socket 'names no socket'
  no_url 'redis+unix:///run/socket?x=1' 'has a query other than ?db=N'
  no_url 'redis+unix:///run/socket?db=1&x' 'has a database'
  no_url redis+unix:///run%00x 'has a NUL'
  no_url "redis+unix:///$(printf 'x%.0s' {1..108})" 'has a socket path that is too long'
  no_url http://alice:secret@nowhere 'is none of redis://, rediss://, redis+unix://'
  no_url '' 'is none of'
}
