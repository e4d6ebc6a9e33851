#!/usr/bin/env bats
# A single connection to a Redis server, in all kinds of failures.
# store: redis

load ../helpers/common
load ../helpers/redis

setup_file() {
  head -c 104857600 /dev/urandom >"$BATS_FILE_TMPDIR/large"
  make_certificates "$BATS_FILE_TMPDIR/tls"
}

setup() {
  isolate
  unset TMPDIR SSL_CERT_FILE SSL_CERT_DIR
  large=$BATS_FILE_TMPDIR/large
  tls=$BATS_FILE_TMPDIR/tls
}

talk() { "$HELPERS/redis_talk" "$@"; }

# says LINES ARGUMENT…: asserts the complete output of redis_talk.
says() {
  run --separate-stderr talk "${@:2}"
  equal '' "$stderr"
  equal "$1" "$output"
}

# fails TEXT ARGUMENT…: asserts that redis_talk ends with exactly this error of the store.
fails() {
  run --separate-stderr talk "${@:2}"
  equal 1 "$status"
  equal "store: the store at $1" "$stderr"
}

# serve ACTION…: starts a server at $fake that performs the actions; see serve_bytes.
serve() {
  fake=$BATS_TEST_TMPDIR/fake.$((${fake_number:-0}))
  fake_number=$((${fake_number:-0} + 1))
  spawn "$HELPERS/serve_bytes" "$fake" "$@"
  await test -S "$fake"
}

# serve_tcp ACTION…: the same at $fake, an address and a port.
serve_tcp() {
  local port=$((10000 + RANDOM % 20000))
  fake=127.$((2 + RANDOM % 200)).$((RANDOM % 200)).$((2 + RANDOM % 200)):$port
  spawn "$HELPERS/serve_bytes" "$fake" "$@"
  await listens_at "$fake"
}

# takes_at_most SECONDS COMMAND…
takes_at_most() {
  local start=${EPOCHREALTIME/./}
  "${@:2}"
  (((${EPOCHREALTIME/./} - start) < $1 * 1000000)) || fail "too slow: ${*:2}"
}

# flat PEAK: fails if the peak memory in KiB is 16 MiB or more. A sanitizer uses memory of its own.
flat() { is_sanitized || (($1 < 16384)) || fail "peak of $1 KiB"; }

# ---- replies ----

@test "all kinds of replies arrive, in the order of their commands" {
  start_redis
  says '+PONG
+OK
"b"
nil
:1
*3
  "x"
  nil
  "b"
*0
-WRONGTYPE Operation against a key holding the wrong kind of value
+OK
+QUEUED
+QUEUED
*2
  -ERR value is not an integer or out of range
  *1
    "1"' "redis+unix://$REDIS_SOCKET" PING 'SET a b' 'GET a' 'GET none' 'RPUSH l 1' \
    'EVAL return{"x",false,redis.call("get","a")} 0' 'LRANGE none 0 1' 'GET l' \
    MULTI 'INCR a' 'LRANGE l 0 1' EXEC
}

@test "localhost is this machine even without a hosts file" {
  unshare -m true 2>/dev/null || skip 'mounts are not allowed here'
  start_redis
  run -0 unshare -m sh -c 'mount -t tmpfs none /etc && exec "$@"' - "$HELPERS/redis_talk" "redis://localhost:$REDIS_PORT" PING
  equal +PONG "$output"
}

@test "a server can be given by socket, address or name" {
  start_redis
  says +PONG "redis+unix://$REDIS_SOCKET" PING
  says +PONG "redis://127.0.0.1:$REDIS_PORT" PING
  says +PONG "redis://[::1]:$REDIS_PORT" PING
  says +PONG "redis://localhost:$REDIS_PORT" PING
}

@test "bytes of any value are preserved" {
  start_redis
  printf '\0\r\n$5\r\n\xff' >odd
  : >empty
  head -c 65536 "$large" >just_text
  head -c 65537 "$large" >just_file
  for file in odd empty just_text just_file; do
    says +OK "redis+unix://$REDIS_SOCKET" "SET k @$file"
    says '' "redis+unix://$REDIS_SOCKET" 'GET k' '.save copy'
    same_bytes "$file" copy
  done
  says 'a file of 65537 bytes' "redis+unix://$REDIS_SOCKET" 'GET k'
}

@test "the URL selects the database" {
  start_redis
  redis -n 3 set a three
  says '"three"' "redis+unix://$REDIS_SOCKET?db=3" 'GET a'
  says '"three"' "redis://127.0.0.1:$REDIS_PORT/3" 'GET a'
  fails "127.0.0.1:$REDIS_PORT: ERR DB index is out of range" "redis://127.0.0.1:$REDIS_PORT/99" PING
}

@test "messages of a subscription are read like replies, and can be waited for" {
  start_redis
  mkfifo out
  exec {from}<>out
  spawn "$HELPERS/redis_talk" "redis+unix://$REDIS_SOCKET" \
    'SUBSCRIBE c' .read '.wait 100ms' '.wait 20s' .read >out
  for line in '*3' '  "subscribe"' '  "c"' '  :1' 'timed out'; do
    IFS= read -r -u "$from" got
    equal "$line" "$got"
  done
  equal 1 "$(redis publish c hello)"
  for line in readable '*3' '  "message"' '  "c"' '  "hello"'; do
    IFS= read -r -u "$from" got
    equal "$line" "$got"
  done
}

# ---- login ----

@test "login works with a password, and with a user and a password" {
  start_redis --requirepass 'se/same' \
    --user alice on '>p:w' '~*' +@all --user bob on nopass '~*' +@all
  at=127.0.0.1:$REDIS_PORT
  says +PONG "redis://:se%2Fsame@$at" PING
  says '"alice"' "redis://alice:p%3Aw@$at/1" 'ACL WHOAMI'
  says '"bob"' "redis://bob@$at" 'ACL WHOAMI'
  says '-NOAUTH Authentication required.' "redis://$at" PING
}

@test "a refused login is reported with the reason, and never with the password" {
  start_redis --requirepass sesame
  wrong='WRONGPASS invalid username-password pair or user is disabled.'
  fails "127.0.0.1:$REDIS_PORT: $wrong" "redis://:hunter2@127.0.0.1:$REDIS_PORT" PING
  fails "$REDIS_SOCKET: $wrong" "redis+unix://alice:sesame@$REDIS_SOCKET?db=1" PING
  # servers without the command, or with verbose errors
  serve say $'-ERR unknown command \'AUTH\', with args beginning with: \'hunter2\' \r\n' read 9999
  fails "$fake: ERR unknown command 'AUTH'" "redis+unix://:hunter2@$fake" PING
  serve say $'-ERR no such password: hunter2\e[2J\r\n' read 9999
  fails "$fake: ERR no such password: ***\x1b[2J" "redis+unix://:hunter2@$fake" PING
}

@test "login, choice of database and command are sent in one write" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  start_redis --requirepass sesame
  run --separate-stderr strace -o trace -e trace=network "$HELPERS/redis_talk" \
    "redis://:sesame@127.0.0.1:$REDIS_PORT/2" MULTI 'GET a' EXEC
  equal 1 "$(grep -c '^sendto(' trace)"
  grep -q 'TCP_NODELAY, \[1\]' trace
  grep -q 'SOCK_CLOEXEC' trace
}

@test "a server with too many clients is reported as such" {
  start_full_redis
  says '-ERR max number of clients reached' "redis://127.0.0.1:$REDIS_PORT" PING
  fails "127.0.0.1:$REDIS_PORT: ERR max number of clients reached" \
    "redis://:sesame@127.0.0.1:$REDIS_PORT" PING
}

# ---- servers that do not answer ----

@test "an unreachable server is reported: connection refused, no socket, a dead socket, unknown host name" {
  start_redis
  end "$REDIS_PID"
  fails "127.0.0.1:$REDIS_PORT: connection refused" "redis://127.0.0.1:$REDIS_PORT" PING
  fails "[::1]:$REDIS_PORT: connection refused" "redis://[::1]:$REDIS_PORT" PING
  fails "$REDIS_SOCKET: connection refused" "redis+unix://$REDIS_SOCKET" PING
  fails '/nowhere: no such file or directory' redis+unix:///nowhere PING
  fails "$BATS_TEST_TMPDIR/home: connection refused" "redis+unix://$BATS_TEST_TMPDIR/home" PING
  RES_OPTIONS=timeout:1 fails 'nowhere.invalid:6379: cannot resolve the host name' redis://nowhere.invalid PING
}

# bats test_tags=slow
@test "a stopped server costs one timeout" {
  start_redis
  kill -STOP "$REDIS_PID"
  takes_at_most 8 fails "$REDIS_SOCKET: no answer within 300ms" \
    --timeout 300ms "redis+unix://$REDIS_SOCKET" PING
  takes_at_most 8 fails "127.0.0.1:$REDIS_PORT: no answer within 300ms" \
    --timeout 300ms "redis://127.0.0.1:$REDIS_PORT" PING
  # a large value has two seconds for each 64 KiB
  takes_at_most 12 fails "127.0.0.1:$REDIS_PORT: less than 64 KiB transferred within 2s" \
    --timeout 300ms "redis://127.0.0.1:$REDIS_PORT" "SET large @$large"
}

# bats test_tags=slow
@test "the timeout limits the whole of a small reply, and of a large one each part" {
  serve read 1 say '$' sleep 0.2 say 5 sleep 0.2 say $'\r\n' sleep 0.2 say hell sleep 0.2 say o sleep 30
  takes_at_most 8 fails "$fake: no answer within 400ms" --timeout 400ms "redis+unix://$fake" PING
  serve read 1 say $'$100000\r\n1234' sleep 0.2 say 5678 sleep 0.2 say 9 sleep 0.2 say 0 sleep 30
  # the first part has to arrive within the timeout
  takes_at_most 20 fails "$fake: less than 64 KiB transferred within 6s" --timeout 6s "redis+unix://$fake" PING
  head -c 70000 "$large" >part
  {
    printf '$350000\r\n'
    cat part
  } >first
  serve read 1 file first sleep 2.5 file part sleep 2.5 file part sleep 2.5 file part sleep 2.5 file part say $'\r\n'
  says 'a file of 350000 bytes' --timeout 8s "redis+unix://$fake" PING
}

# bats test_tags=slow
@test "the first address of a name that accepts a connection is used" {
  start_redis
  while listens_at "127.0.0.9:$REDIS_PORT"; do start_redis; done
  printf '127.0.0.%d several\n' 9 8 1 >hosts
  export CARES_HOSTS=$PWD/hosts
  says +PONG "redis://several:$REDIS_PORT" PING
  # an address that does not respond, instead of one that refuses
  spawn "$HELPERS/serve_bytes" "127.0.0.9:$REDIS_PORT" mute >is_mute
  await test -s is_mute
  takes_at_most 10 says +PONG --timeout 20s "redis://several:$REDIS_PORT" PING
  echo '127.0.0.9 several' >hosts
  takes_at_most 8 fails "several:$REDIS_PORT: no answer within 300ms" --timeout 300ms \
    "redis://several:$REDIS_PORT" PING
  printf '127.0.0.%d several\n' 8 7 >hosts
  fails "several:$REDIS_PORT: connection refused" "redis://several:$REDIS_PORT" PING
}

# bats test_tags=slow
@test "an interruption ends every wait, unless interruptions are ignored" {
  start_redis
  interrupted="interrupted: the store at $REDIS_SOCKET: interrupted"
  kill -STOP "$REDIS_PID"
  for line in PING "SET large @$large"; do
    run --separate-stderr takes_at_most 8 talk --interrupt 200ms "redis+unix://$REDIS_SOCKET" "$line"
    equal "$interrupted" "$stderr"
  done
  at=$(a_port)
  spawn "$HELPERS/serve_bytes" "$at" mute >is_mute
  await test -s is_mute
  run --separate-stderr takes_at_most 8 talk --interrupt 200ms "redis://$at" PING
  equal "interrupted: the store at $at: interrupted" "$stderr"
  kill -CONT "$REDIS_PID"
  says interrupted$'\n'+PONG --interrupt 50ms "redis+unix://$REDIS_SOCKET" '.wait 10s' .patient PING
}

# ---- large values ----

# large_both_ways ARGUMENT…: with these options and URL, sends and receives a value of 100 MiB, also as a part of the
# reply to a transaction.
large_both_ways() {
  run --separate-stderr talk "$@" "SET k @$large" .read .rss
  equal '' "$stderr"
  equal +OK "${lines[0]}"
  flat "${lines[1]}"
  run --separate-stderr talk "$@" 'GET k' '.save copy' MULTI 'GET k' 'GET none' EXEC '.read 4' .rss
  equal '' "$stderr"
  same_bytes "$large" copy
  equal '*2
  a file of 104857600 bytes
  nil' "$(printf '%s\n' "${lines[@]:3:3}")"
  flat "${lines[6]}"
}

@test "100 MiB over TCP need little memory" {
  start_redis
  large_both_ways "redis://127.0.0.1:$REDIS_PORT"
}

@test "100 MiB over a unix socket need little memory" {
  start_redis
  large_both_ways "redis+unix://$REDIS_SOCKET"
}

@test "a large value arrives completely, wherever it is stored: TMPDIR, /tmp or memory" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  start_redis
  head -c 1000000 "$large" | redis -x set k
  kept_in() { # the expected openat call, and options of strace
    ASAN_OPTIONS=detect_leaks=0 strace -qq -o trace -e trace=openat "${@:2}" "$HELPERS/redis_talk" \
      "redis+unix://$REDIS_SOCKET" 'GET k' '.save copy'
    cmp -n 1000000 "$large" copy
    grep -q "$1" trace || fail "$(cat trace)"
  }
  TMPDIR=$PWD kept_in "\"$PWD\".* = [0-9]"
  TMPDIR=/nowhere kept_in '"/tmp".* = [0-9]'
  TMPDIR=/nowhere kept_in '"/tmp".*INJECTED' -P /tmp -e inject=openat:error=EACCES
}

# bats test_tags=slow
@test "100 MiB over TLS need little memory" {
  start_redis_tls "$tls"
  large_both_ways --tls-ca "$tls/ca.pem" "rediss://localhost:$REDIS_TLS_PORT"
}

# bats test_tags=slow
@test "the error of a server that refuses a large value is read" {
  # the server closes with most of the value unread, or stops reading it
  serve read 1000 say $'-ERR too large\r\n'
  says '-ERR too large' "redis+unix://$fake" "SET k @$large"
  serve read 1000 say $'-ERR too large\r\n' sleep 60
  says '-ERR too large' --timeout 10s "redis+unix://$fake" "SET k @$large"
  serve read 1000
  fails "$fake: closed the connection" "redis+unix://$fake" "SET k @$large"
  start_redis --proto-max-bulk-len 1mb
  says '-ERR Protocol error: invalid bulk length' "redis://127.0.0.1:$REDIS_PORT" "SET k @$large"
  says '-ERR Protocol error: invalid bulk length' "redis+unix://$REDIS_SOCKET" "SET k @$large"
  start_redis_tls "$tls" --proto-max-bulk-len 1mb
  says '-ERR Protocol error: invalid bulk length' --tls-ca "$tls/ca.pem" "rediss://localhost:$REDIS_TLS_PORT" \
    "SET k @$large"
}

@test "if the file of a value is truncated, there is an error and no wait" {
  start_redis
  head -c 1000000 "$large" >shrinks
  mkfifo go
  # the file is opened and measured when the command is queued, and sent later
  spawn "$HELPERS/redis_talk" "redis+unix://$REDIS_SOCKET" < <(cat go) 2>error
  pid=$!
  exec {to}>go
  echo 'SET k @shrinks' >&"$to"
  await eval '[[ $(readlink /proc/'"$pid"'/fd/*) == *shrinks* ]]'
  await is_asleep "$pid"
  : >shrinks
  exec {to}>&-
  finish "$pid"
  equal "store: the store at $REDIS_SOCKET: the file with the value is too short" "$(<error)"
}

# ---- invalid replies ----

@test "an invalid reply is an error" {
  for reply in hello $'HTTP/1.1 400 Bad Request\r\n' $'\x15\x03\x03' $'\r\n' $'%x\r\n' $'$\r\n' $'$x\r\n' \
    $'$-2\r\n' $'*-2\r\n' $'*x\r\n' $'*1 \r\n' $':x\r\n' $':\r\n' $':99999999999999999999\r\n' \
    $'$99999999999999999999\r\n' $'$3\r\nabcde' $'*1\r\n!\r\n' $'*1\r\n$1\r\nabc'; do
    serve read 1 say "$reply" read 9999
    fails "$fake: does not speak the Redis protocol" "redis+unix://$fake" PING
  done
}

@test "a string without its end is an error, also a large one" {
  for size in 65536 65537; do
    {
      printf '$%d\r\n' "$size"
      head -c "$((size + 2))" /dev/zero
    } >reply
    serve read 1 file reply read 9999
    fails "$fake: does not speak the Redis protocol" "redis+unix://$fake" PING
  done
}

@test "a server that exits in the middle of a reply has closed the connection" {
  for reply in '' '$' $'$5\r\nabc' $'*2\r\n:1\r\n' $'$70000\r\nabc'; do
    serve read 1 say "$reply"
    fails "$fake: closed the connection" "redis+unix://$fake" PING
  done
}

# bats test_tags=slow
@test "a hostile reply needs little memory" {
  printf '*1\r\n%.0s' {1..1000} >deep
  { echo $'*1000000000\r' && yes $':1\r' | head -n 2000000; } >long
  { echo $'*20000\r' && yes $'$10000\r\n'"$(printf '%010000d' 0)"$'\r' | head -n 20000; } >fat
  { printf '+' && head -c 1000000 /dev/zero; } >endless
  for reply in "deep:does not speak the Redis protocol" 'long:sent a reply that is too large' \
    'fat:sent a reply that is too large' "endless:does not speak the Redis protocol"; do
    serve read 1 file "${reply%%:*}" read 9999
    # 64 MiB of replies, and the spare capacity of a vector
    (
      is_sanitized || ulimit -v 400000
      fails "$fake: ${reply#*:}" "redis+unix://$fake" PING
    )
  done
  serve read 1 say $'$1073741825\r\n' read 9999
  fails "$fake: sent more than 1.0 GiB in one reply" "redis+unix://$fake" PING
}

# ---- TLS ----

@test "over TLS the authority and the name of the server are verified" {
  start_redis_tls "$tls"
  says +PONG --tls-ca "$tls/ca.pem" "rediss://localhost:$REDIS_TLS_PORT" PING
  says +PONG --tls-ca "$tls/ca.pem" "rediss://127.0.0.1:$REDIS_TLS_PORT" PING
  says +PONG --tls-ca "$tls/ca.pem" --tls-server-name localhost "rediss://[::1]:$REDIS_TLS_PORT" PING
  at=127.0.0.1:$REDIS_TLS_PORT
  unknown='certificate: signed by an authority that is not trusted'
  fails "$at: $unknown" --tls-ca "$tls/stranger.pem" "rediss://$at" PING
  fails "$at: $unknown" "rediss://$at" PING
  fails "$at: certificate: issued for another host name" --tls-ca "$tls/ca.pem" --tls-server-name other "rediss://$at" PING
  fails "[::1]:$REDIS_TLS_PORT: certificate: issued for another IP address" --tls-ca "$tls/ca.pem" \
    "rediss://[::1]:$REDIS_TLS_PORT" PING
  fails "$at: cannot read certificates in /nowhere: no such file or directory" --tls-ca /nowhere "rediss://$at" PING
  mkfifo fifo
  fails "$at: cannot read certificates in fifo: not a regular file" --tls-ca fifo "rediss://$at" PING
}

@test "a common name is not accepted as a host name" {
  for name in localhost 127.0.0.1; do
    make_nameless "$name.tls" "$name"
    start_redis_tls "$PWD/$name.tls"
    fails "$name:$REDIS_TLS_PORT: certificate: no subject alternative name; a common name is not enough" \
      --tls-ca "$name.tls/ca.pem" "rediss://$name:$REDIS_TLS_PORT" PING
  done
  make_nameless mail.tls localhost subjectAltName=email:admin@localhost
  start_redis_tls "$PWD/mail.tls"
  fails "localhost:$REDIS_TLS_PORT: certificate: issued for another host name" --tls-ca mail.tls/ca.pem \
    "rediss://localhost:$REDIS_TLS_PORT" PING
}

@test "authorities can be in a directory, or where the variables of the system point" {
  start_redis_tls "$tls"
  mkdir ca.d
  cp "$tls/ca.pem" ca.d
  openssl rehash ca.d
  url=rediss://localhost:$REDIS_TLS_PORT
  says +PONG --tls-ca ca.d "$url" PING
  SSL_CERT_DIR=/nowhere:$PWD/ca.d says +PONG "$url" PING
  SSL_CERT_FILE=$tls/ca.pem says +PONG "$url" PING
  SSL_CERT_FILE=$tls/stranger.pem fails \
    "localhost:$REDIS_TLS_PORT: certificate: signed by an authority that is not trusted" "$url" PING
}

@test "a self-signed certificate is reported as such" {
  cp -r "$tls" own
  for part in pem key; do cp "own/stranger.$part" "own/server.$part"; done
  start_redis_tls "$PWD/own"
  fails "localhost:$REDIS_TLS_PORT: certificate: self-signed and not trusted" "rediss://localhost:$REDIS_TLS_PORT" PING
}

@test "a client certificate can be used" {
  start_redis_tls "$tls" --tls-auth-clients yes
  at=localhost:$REDIS_TLS_PORT
  says +PONG --tls-ca "$tls/ca.pem" --tls-cert "$tls/client.pem" --tls-key "$tls/client.key" "rediss://$at" PING
  cat "$tls/client.pem" "$tls/client.key" >both
  says +PONG --tls-ca "$tls/ca.pem" --tls-cert both "rediss://$at" PING
  fails "$at: TLS: client certificate required" --tls-ca "$tls/ca.pem" "rediss://$at" PING
  fails "$at: cannot use the certificate /nowhere: no such file or directory" \
    --tls-ca "$tls/ca.pem" --tls-cert /nowhere "rediss://$at" PING
  fails "$at: cannot use the key $tls/ca.key: it is not the certificate's key" \
    --tls-ca "$tls/ca.pem" --tls-cert both --tls-key "$tls/ca.key" "rediss://$at" PING
  refused '--tls-key requires --tls-cert' "$MEMOLOCK_BIN" get --tls-ca "$tls/ca.pem" --tls-key both --store "rediss://$at" --id x
}

@test "a server with TLS 1.2 that requires a client certificate is reported" {
  start_redis_tls "$tls" --tls-auth-clients yes --tls-protocols TLSv1.2
  fails "localhost:$REDIS_TLS_PORT: TLS: the server refuses the handshake; it may require a client certificate" \
    --tls-ca "$tls/ca.pem" "rediss://localhost:$REDIS_TLS_PORT" PING
}

@test "an encrypted key is refused as such, without a question on the terminal" {
  start_redis_tls "$tls"
  at=localhost:$REDIS_TLS_PORT
  openssl ec -in "$tls/client.key" -aes128 -passout pass:x -out traditional 2>/dev/null
  openssl pkcs8 -topk8 -in "$tls/client.key" -passout pass:x -out pkcs8
  openssl pkcs8 -topk8 -in "$tls/client.key" -passout pass: -out empty_passphrase
  for key in traditional pkcs8 empty_passphrase; do
    grep -q ENCRYPTED "$key"
    fails "$at: cannot use the key $key: encrypted keys are not supported" --tls-ca "$tls/ca.pem" \
      --tls-cert "$tls/client.pem" --tls-key "$key" "rediss://$at" PING </dev/null
  done
  cat "$tls/client.pem" pkcs8 >both
  fails "$at: cannot use the key both: encrypted keys are not supported" --tls-ca "$tls/ca.pem" \
    --tls-cert both "rediss://$at" PING </dev/null
}

@test "a file without the key, the certificate or the authorities that are needed is reported" {
  start_redis_tls "$tls"
  at=localhost:$REDIS_TLS_PORT
  why='it contains no PEM data of this kind'
  : >empty
  echo hello >text
  cp "$tls/client.pem" certificate
  cp "$tls/client.key" key
  for file in empty text certificate; do
    fails "$at: cannot use the key $file: $why" --tls-ca "$tls/ca.pem" --tls-cert certificate --tls-key "$file" \
      "rediss://$at" PING
  done
  for file in empty text key; do
    fails "$at: cannot use the certificate $file: $why" --tls-ca "$tls/ca.pem" --tls-cert "$file" --tls-key key \
      "rediss://$at" PING
    fails "$at: cannot read certificates in $file: $why" --tls-ca "$file" "rediss://$at" PING
  done
}

@test "the alert of a server that ends the handshake is reported" {
  alerts=(
    '28:the server refuses the handshake; it may require a client certificate'
    '31:the server reports that access is denied'
    '33:the server reports that it cannot verify the handshake'
    '50:the server reports an internal error'
    '3c:protocol error (code 1060)'
  )
  for alert in "${alerts[@]}"; do
    printf '\x15\x03\x03\0\x02\x02%b' "\\x${alert%%:*}" >reply
    serve_tcp read 1 file reply leave reading
    fails "$fake: TLS: ${alert#*:}" "rediss://$fake" PING
  done
}

@test "an error in another part of OpenSSL is not taken for one of TLS with the same number" {
  # a server's greeting, and a certificate that is not one
  {
    printf '\x16\x03\x03\0\x3f\x02\0\0\x2d\x03\x03%s\0\xc0\x2f\0\0\x05\xff\x01\0\x01\0' 'random bytes, 32 of them exactly'
    printf '\x0b\0\0\x0a\0\0\x07\0\0\x04junk'
  } >reply
  serve_tcp read 1 file reply leave reading
  run --separate-stderr talk "rediss://$fake" PING
  # the numbers of TLS have at most four digits
  [[ $stderr =~ ^"store: the store at $fake: TLS: protocol error (code "[0-9]{6,}")"$ ]] || fail "$stderr"
}

@test "TLS before 1.2 is refused" {
  start_redis_tls "$tls" --tls-protocols 'TLSv1.1' --tls-ciphers 'ALL:@SECLEVEL=0'
  run --separate-stderr talk --tls-ca "$tls/ca.pem" "rediss://localhost:$REDIS_TLS_PORT" PING
  contains "$stderr" "localhost:$REDIS_TLS_PORT: TLS: "
  start_redis_tls "$tls" --tls-protocols TLSv1.2
  says +PONG --tls-ca "$tls/ca.pem" "rediss://localhost:$REDIS_TLS_PORT" PING
}

@test "a mismatch of TLS and plain Redis is reported in time" {
  start_redis_tls "$tls"
  # a plain server waits for the end of a line after a TLS handshake begins
  run --separate-stderr takes_at_most 8 talk --timeout 300ms "rediss://localhost:$REDIS_PORT" PING
  contains "$stderr" "store: the store at localhost:$REDIS_PORT: "
  takes_at_most 8 fails "localhost:$REDIS_TLS_PORT: closed the connection" "redis://localhost:$REDIS_TLS_PORT" PING
}

# bats test_tags=slow
@test "over TLS a stopped server costs one timeout too, and TLS messages alone wake no waiter" {
  start_redis_tls "$tls"
  url=rediss://localhost:$REDIS_TLS_PORT
  says 'timed out
*3
  "subscribe"
  "c"
  :1
timed out' --tls-ca "$tls/ca.pem" "$url" '.wait 200ms' 'SUBSCRIBE c' .read '.wait 200ms'
  kill -STOP "$REDIS_PID"
  takes_at_most 8 fails "localhost:$REDIS_TLS_PORT: no answer within 300ms" \
    --timeout 300ms --tls-ca "$tls/ca.pem" "$url" PING
}
