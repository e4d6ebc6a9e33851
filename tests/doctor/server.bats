#!/usr/bin/env bats
# doctor on a Redis server: each fault is reported with a remedy, and nothing is left behind.
# store: redis
# bats file_tags=slow

load ../helpers/common

setup_file() {
  make_certificates "$BATS_FILE_TMPDIR/tls"
}

setup() {
  isolate
  unset TMPDIR SSL_CERT_FILE SSL_CERT_DIR
  tls=$BATS_FILE_TMPDIR/tls
  patient
}

# here [USERINFO@]: the URL of the running server.
here() { echo "redis+unix://${1-}$REDIS_SOCKET"; }

# examined STATUS OPTION…: runs doctor, asserts its status, and sets $output.
examined() {
  run --separate-stderr "-$1" memolock doctor --tag t "${@:2}"
  equal '' "$stderr"
}

# found LEVEL SUBJECT PART…: asserts that there is such a finding, whose line contains each PART.
found() {
  local line part
  line=$(grep -E "^$1 +$2 " <<<"$output") || fail "no '$1 $2' in: $output"
  equal 1 "$(wc -l <<<"$line")"
  for part in "${@:3}"; do contains "$line" "$part"; done
}

# only_that: asserts that all other findings are ok, except a round trip that is slow on a busy machine.
only_that() { equal 1 "$(grep -E '^(advice|FAIL)' <<<"$output" | grep -vc 'round trip')"; }

# rule TAG [DATABASE]: prints the words of the ACL rule.
rule() {
  memolock doctor --tag "$1" --store "$(here)?db=${2-0}" | sed -n 's/^ *ACL rule *//p'
}

# allow USER WORD…: creates an ACL user with the password p.
allow() { equal OK "$(redis acl setuser "$1" on '>p' "${@:2}")"; }

# serve ACTION…: starts a server at $fake that performs the actions; see serve_bytes.
serve() {
  fake=$BATS_TEST_TMPDIR/fake.$((${fake_number:-0}))
  fake_number=$((${fake_number:-0} + 1))
  spawn "$HELPERS/serve_bytes" "$fake" "$@"
  await test -S "$fake"
}

# hello VERSION: a reply to HELLO.
hello() {
  printf '*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$%d\r\n%s\r\n$4\r\nrole\r\n$6\r\nmaster\r\n' "${#1}" "$1"
}

# time_at SECONDS: three replies to TIME.
time_at() { printf '*2\r\n$10\r\n%d\r\n$1\r\n0\r\n%.0s' "$1" 1 "$1" 2 "$1" 3; }

# ---- a usable server ----

@test "for a usable server every line is ok, and only a lock was written" {
  start_redis
  # on a busy machine each of the round trips can be slow
  has_short_trip() {
    redis config resetstat >/dev/null
    examined 0 --store "$(here)" && ((status == 0)) && grep -q '^ok *round trip' <<<"$output"
  }
  await has_short_trip
  equal 'server login tls version role round clock memory eviction clients commands keys channels writes locks control' \
    "$(awk '$1 == "ok" { printf "%s%s", between, $2; between = " " }' <<<"$output")"
  equal 1 "$(grep -vc '^ok ' <<<"$output")"
  found ok version
  [[ $output =~ \ version\ +(Redis|Valkey)\ [1-9] ]]
  found ok server "$REDIS_SOCKET"
  found ok 'round trip' ms
  equal 0 "$(redis dbsize)"
  equal '' "$(redis acl log)"
  stats=$(redis info commandstats)
  contains "$stats" 'cmdstat_set:calls=1,'
  for command in rename hset hdel subscribe publish.calls=2; do lacks "$stats" "cmdstat_$command"; done
}

# on_read_only COMMAND…: runs it where /tmp is read-only, with the files that it contains.
on_read_only() {
  unshare -m true 2>/dev/null || skip 'cannot mount here'
  run --separate-stderr unshare -m sh -c 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"' - "$@"
}

@test "if no control file can be created, this is reported for a server too" {
  start_redis --port 0
  on_read_only "$MEMOLOCK_BIN" doctor --store "$(here)"
  equal 1 "$status"
  found FAIL control 'Read-only file system' 'memolock needs a writable /tmp'
}

@test "doctor --json prints the findings and the rule" {
  start_redis --maxmemory 100mb --maxmemory-policy allkeys-lru
  string='"([^"\\]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*"'
  finding="\{\"level\":\"(ok|advice|fail)\",\"subject\":$string,\"message\":$string,\"remedy\":($string|null)\}"
  document="\{\"store\":$string,\"tag\":$string,\"usable\":(true|false),\"findings\":\[$finding(,$finding)*\],\"acl_rule\":($string|null)\}"
  is_document() { LC_ALL=C.UTF-8 grep -qxE "$document" <<<"$output" || fail "not it: $output"; }
  examined 0 --json --store "$(here)"
  is_document
  contains "$output" "{\"store\":\"$(here)\",\"tag\":\"t\",\"usable\":true,"
  contains "$output" '{"level":"advice","subject":"eviction","message":"allkeys-lru can remove'
  contains "$output" '"acl_rule":"resetkeys ~t:* '
  end "$REDIS_PID"
  examined 1 --json --store "$(here :sesame@)"
  is_document
  contains "$output" '"usable":false,"findings":[{"level":"fail","subject":"server",'
  lacks "$output" sesame
  MEMOLOCK_STORE=$(here :sesame@) examined 1 --json
  contains "$output" "{\"store\":\"$(here)\","
  lacks "$output" sesame
}

@test "usage errors are not findings" {
  refused --bogus memolock doctor --bogus
  refused --store memolock doctor --store nonsense://x
  refused extra memolock doctor extra
  refused --tag memolock doctor --tag a:b
}

@test "it is not an error if the reader exits early" {
  start_redis
  MEMOLOCK_STORE=$(here) bash -o pipefail -c '"$MEMOLOCK_BIN" doctor | true'
}

# ---- unreachable servers ----

@test "an unreachable server is reported: connection refused, no socket, unknown host name" {
  start_redis
  end "$REDIS_PID"
  examined 1 --store "redis://127.0.0.1:$REDIS_PORT"
  found FAIL server "127.0.0.1:$REDIS_PORT: connection refused" 'start the server'
  only_that
  examined 1 --store "$(here)"
  found FAIL server 'connection refused' 'start the server'
  examined 1 --store redis+unix:///nowhere
  found FAIL server 'no such file' 'correct the path'
  RES_OPTIONS=timeout:1 examined 1 --store redis://nowhere.invalid
  found FAIL server 'cannot resolve' 'correct the host'
}

@test "a stopped server costs one timeout" {
  start_redis
  kill -STOP "$REDIS_PID"
  for url in "$(here)" "redis://127.0.0.1:$REDIS_PORT"; do
    start=${EPOCHREALTIME/./}
    examined 1 --store-timeout 8s --store "$url"
    (((${EPOCHREALTIME/./} - start) < 16000000)) || fail 'it took twice as long'
    found FAIL server 'no answer within 8s' stopped --store-timeout
    only_that
  done
}

@test "a server that has reached its limit of clients is reported" {
  start_full_redis
  for url in "$(here)" "$(here :sesame@)"; do
    examined 1 --store "$url"
    found FAIL server 'max number of clients' 'raise maxclients'
  done
}

@test "a server that has nearly reached its limit of clients is reported as advice" {
  start_redis --maxclients 20
  examined 0 --store "$(here)"
  found ok clients '1 of 20'
  serve say "$(hello 7.0.15)"$'\n'"$(time_at "$EPOCHSECONDS")"$'\n$1\r\n-\r\n$41\r\n#\r\nconnected_clients:90\r\nmaxclients:100\r\n\r\n' leave reading
  examined 1 --store "redis+unix://$fake"
  found advice clients '90 of 100' 'raise maxclients'
}

@test "a server that does not speak the Redis protocol" {
  serve read 1 say $'HTTP/1.1 400 Bad Request\r\n' leave reading
  examined 1 --store "redis+unix://$fake"
  found FAIL server "does not speak the Redis protocol" 'host and port'
  serve read 1
  examined 1 --store "redis+unix://$fake"
  found FAIL server 'closed the connection'
}

# ---- login ----

@test "a password that is missing, wrong or not required is reported" {
  start_redis --requirepass sesame
  examined 1 --store "$(here)"
  found FAIL login NOAUTH --password-file
  only_that
  examined 1 --store "$(here :hunter2@)"
  found FAIL login WRONGPASS 'correct the user'
  lacks "$output" hunter2
  examined 1 --store "$(here alice:sesame@)"
  found FAIL login WRONGPASS
  lacks "$output" sesame
  MEMOLOCK_REDIS_PASSWORD=sesame examined 0 --store "$(here)"
  found ok login default
  start_redis
  examined 1 --store "$(here :hunter2@)"
  found FAIL login 'without any password' 'remove it here'
  lacks "$output" hunter2
}

@test "a password file that cannot be read is a finding" {
  examined 1 --store redis://127.0.0.1:1 --password-file nowhere
  found FAIL settings 'cannot read nowhere'
}

@test "a missing database is reported" {
  start_redis
  examined 1 --store "$(here)?db=99"
  found FAIL login 'out of range' database
}

# ---- TLS ----

@test "over TLS: a valid certificate, one of an unknown authority, and one for another name" {
  start_redis_tls "$tls"
  url=rediss://localhost:$REDIS_TLS_PORT
  examined 0 --store "$url" --tls-ca "$tls/ca.pem"
  found ok tls valid
  examined 1 --store "$url" --tls-ca "$tls/stranger.pem"
  found FAIL tls 'not trusted' --tls-ca
  only_that
  examined 1 --store "$url"
  found FAIL tls 'not trusted' --tls-ca
  examined 1 --store "$url" --tls-ca "$tls/ca.pem" --tls-server-name other
  found FAIL tls 'issued for another host name' --tls-server-name
  examined 1 --store "rediss://[::1]:$REDIS_TLS_PORT" --tls-ca "$tls/ca.pem"
  found FAIL tls 'issued for another IP address' --tls-server-name
  examined 1 --store "$url" --tls-ca nowhere
  found FAIL tls 'cannot read certificates in nowhere'
}

@test "over TLS: a machine without CA certificates is reported" {
  unshare -m true 2>/dev/null || skip 'cannot mount here'
  start_redis_tls "$tls"
  # shellcheck disable=SC2016
  without=(unshare -m sh -c 'mount -t tmpfs none /etc/ssl && exec "$@"' -)
  run -1 env -u SSL_CERT_FILE -u SSL_CERT_DIR "${without[@]}" "$MEMOLOCK_BIN" doctor \
    --store "rediss://localhost:$REDIS_TLS_PORT"
  found FAIL tls 'no CA certificates are installed; install ca-certificates' --tls-ca
}

@test "over TLS: an expired certificate is reported" {
  cp -r "$tls" old
  certify_expired old server subjectAltName=DNS:localhost
  start_redis_tls "$PWD/old"
  examined 1 --store "rediss://localhost:$REDIS_TLS_PORT" --tls-ca old/ca.pem
  found FAIL tls 'certificate: expired' renew
}

@test "over TLS: a certificate with only a common name is reported" {
  make_nameless nameless localhost
  start_redis_tls "$PWD/nameless"
  examined 1 --store "rediss://localhost:$REDIS_TLS_PORT" --tls-ca nameless/ca.pem
  found FAIL tls 'no subject alternative name' subjectAltName
}

@test "over TLS: a server that requires a client certificate is reported" {
  start_redis_tls "$tls" --tls-auth-clients yes
  examined 1 --store "rediss://localhost:$REDIS_TLS_PORT" --tls-ca "$tls/ca.pem"
  found FAIL tls 'certificate required' --tls-cert
}

@test "over TLS 1.2: a server that may require a client certificate is reported" {
  start_redis_tls "$tls" --tls-auth-clients yes --tls-protocols TLSv1.2
  examined 1 --store "rediss://localhost:$REDIS_TLS_PORT" --tls-ca "$tls/ca.pem"
  found FAIL tls 'may require a client certificate' 'set a client certificate' "server's log"
}

@test "over TLS: a client certificate that the server refuses is reported" {
  start_redis_tls "$tls" --tls-auth-clients yes
  examined 1 --store "rediss://localhost:$REDIS_TLS_PORT" --tls-ca "$tls/ca.pem" --tls-cert "$tls/stranger.pem" \
    --tls-key "$tls/stranger.key"
  found FAIL tls 'the server does not trust the client certificate' 'correct --tls-cert and --tls-key'
}

@test "over TLS: an error that the server reports is found in its log" {
  local port=$((10000 + RANDOM % 20000))
  fake=127.$((2 + RANDOM % 200)).$((RANDOM % 200)).$((2 + RANDOM % 200)):$port
  printf '\x15\x03\x03\0\x02\x02\x50' >alert
  spawn "$HELPERS/serve_bytes" "$fake" read 1 file alert leave reading
  await listens_at "$fake"
  examined 1 --store "rediss://$fake"
  found FAIL tls 'the server reports an internal error' "see the server's log"
}

@test "over TLS: a server certificate with a short key, a weak signature or another purpose is reported" {
  cp -r "$tls" own
  # OpenSSL refuses the first two in the server too, unless its configuration allows them.
  printf '%s\n' openssl_conf=all '[all]' ssl_conf=ssl '[ssl]' system_default=any '[any]' \
    CipherString=DEFAULT:@SECLEVEL=0 >any.conf
  ec='ec -pkeyopt ec_paramgen_curve:prime256v1'
  for fault in "rsa:1024|-sha256|serverAuth|its key is too short" "$ec|-sha1|serverAuth|its signature is too weak" \
    "$ec|-sha256|clientAuth|not issued for a server"; do
    IFS='|' read -r key digest purpose text <<<"$fault"
    # shellcheck disable=SC2086 # several words
    openssl req -newkey $key -nodes -subj /CN=server -keyout own/server.key -out request 2>/dev/null
    printf '%s\n' subjectAltName=DNS:localhost "extendedKeyUsage=$purpose" >extensions
    openssl x509 -req -in request -CA own/ca.pem -CAkey own/ca.key -days 2 "$digest" -extfile extensions \
      -out own/server.pem 2>/dev/null
    OPENSSL_CONF=$PWD/any.conf start_redis_tls "$PWD/own"
    examined 1 --store "rediss://localhost:$REDIS_TLS_PORT" --tls-ca own/ca.pem
    found FAIL tls "certificate: $text" 'create a new server certificate'
  done
}

@test "a TLS client on a plain port and a plain client on a TLS port are reported" {
  start_redis_tls "$tls"
  examined 1 --store "rediss://localhost:$REDIS_PORT" --store-timeout 300ms
  found FAIL '(server|tls)'
  examined 1 --store "redis://localhost:$REDIS_TLS_PORT"
  found FAIL server 'closed the connection' rediss://
}

@test "an unencrypted connection is reported as advice on a network, and not on the local machine" {
  start_redis
  echo '127.0.0.1 cache.example' >hosts
  CARES_HOSTS=$PWD/hosts examined 0 --store "redis://cache.example:$REDIS_PORT"
  found advice tls rediss://
  only_that
  examined 0 --store "redis://127.0.0.1:$REDIS_PORT"
  found ok tls
}

# ---- unusable states of a server ----

@test "a replica is reported" {
  start_redis --replicaof '127.0.0.1 1'
  examined 1 --store "$(here)"
  found FAIL role replica primary
  found FAIL writes READONLY primary
  redis config set replica-serve-stale-data no >/dev/null
  examined 1 --store "$(here)"
  found FAIL writes MASTERDOWN primary
}

@test "a server that is loading its data is reported" {
  start_redis
  redis eval 'for i = 1, 50000 do redis.call("SET", i, i) end' 0
  redis save
  start_redis --dir "${REDIS_SOCKET%/*}" --key-load-delay 1000 --loading-process-events-interval-bytes 1024
  contains "$(redis ping 2>&1)" LOADING
  examined 1 --store "$(here)"
  found FAIL writes LOADING wait
  only_that
}

@test "a server whose memory is full or nearly full is reported" {
  start_redis
  head -c 20000000 /dev/zero | redis -x set big >/dev/null
  used=$(redis info memory | sed -n 's/^used_memory:\([0-9]*\).*/\1/p')
  redis config set maxmemory $((used + 1000000)) >/dev/null
  examined 0 --store "$(here)"
  found advice memory 'nothing can be stored' 'raise maxmemory'
  found ok eviction noeviction
  only_that
  redis config set maxmemory 10mb >/dev/null
  examined 1 --store "$(here)"
  found FAIL writes OOM 'raise maxmemory'
  redis config set maxmemory 1gb >/dev/null
  examined 0 --store "$(here)"
  found ok memory 'of 1.0 GiB'
}

@test "locks with names longer than those of memolock are ignored" {
  start_redis
  redis eval 'for i = 1, 20 do redis.call("SET", "t/lock:" .. i .. string.rep("x", 100000), "theirs") end' 0 >/dev/null
  examined 0 --store "$(here)"
  found ok locks 'no lock of another program lasts longer than a day'
  redis set t/lock:y theirs >/dev/null
  examined 0 --store "$(here)"
  found advice locks 't:y is locked by another program without an expiry'
}

# keys_looked_at: the number of keys among which doctor has looked for locks.
keys_looked_at() {
  sed -n 's/^ok  *locks  *no lock of another program among about the first \([0-9]*\) keys lasts longer than a day$/\1/p' <<<"$output"
}

@test "on a server with very many keys, or a slow one, doctor reports how many keys it searched for locks" {
  start_redis
  redis eval 'for i = 1, 320000 do redis.call("SET", "k" .. i, "") end' 0 >/dev/null
  examined 0 --store "$(here)"
  (($(keys_looked_at) > 0)) || fail "$output"
  spawn "$HELPERS/slow_relay" "$PWD/relay" "$REDIS_SOCKET" --delay 20
  await test -S relay
  examined 0 --store "redis+unix://$PWD/relay"
  (($(keys_looked_at) > 0 && $(keys_looked_at) <= 51000)) || fail "$output"
}

@test "a server that can evict locks is reported as advice" {
  for policy in allkeys-lru allkeys-random volatile-lru volatile-ttl; do
    start_redis --maxmemory 100mb --maxmemory-policy "$policy"
    examined 0 --store "$(here)"
    found advice eviction "$policy" noeviction
    only_that
    end "$REDIS_PID"
  done
  start_redis --maxmemory-policy allkeys-lru
  examined 0 --store "$(here)"
  found ok eviction 'no memory limit'
}

@test "a server that cannot save its data is reported" {
  mkdir gone
  start_redis --dir "$PWD/gone"
  redis config set save '3600 1' >/dev/null
  rmdir gone
  redis bgsave >/dev/null
  has_failed() { redis info persistence | grep -q 'rdb_last_bgsave_status:err'; }
  await has_failed
  examined 1 --store "$(here)"
  found FAIL writes MISCONF disk
  only_that
}

@test "a server without the replicas that it requires is reported" {
  start_redis --min-replicas-to-write 1
  examined 1 --store "$(here)"
  found FAIL writes NOREPLICAS replicas
}

@test "a server that is busy with a script is reported" {
  start_redis --lua-time-limit 1
  spawn redis-cli -s "$REDIS_SOCKET" eval 'while true do end' 0
  await eval 'redis get x 2>&1 | grep -q BUSY'
  examined 1 --store "$(here)"
  found FAIL writes BUSY 'SCRIPT KILL'
  redis script kill
}

@test "a server in cluster mode is reported, healthy or down" {
  start_redis --cluster-enabled yes
  examined 1 --store "$(here)"
  found FAIL role cluster 'write redis+cluster://'
  found FAIL writes CLUSTERDOWN 'not served'
  redis cluster addslotsrange 0 16383
  await eval 'redis cluster info | grep -q cluster_state:ok'
  examined 1 --store "$(here)"
  found FAIL role cluster
  found FAIL writes CROSSSLOT
}

@test "a sentinel is reported" {
  serve say "$(hello 7.0.15 | sed 's/^\*6/*8/')"$'\n$4\r\nmode\r\n$8\r\nsentinel\r\n' leave reading
  examined 1 --store "redis+unix://$fake"
  found FAIL role sentinel
}

@test "a server that is too old is reported" {
  for version in 6.0.16 5.0.7 2 x; do
    serve say "$(hello $version)"$'\n' leave reading
    examined 1 --store "redis+unix://$fake"
    found FAIL version "Redis $version" '6.2 or later'
  done
  for version in 6.2.0 7.4.1 10.0; do
    serve say "$(hello $version)"$'\n' leave reading
    examined 1 --store "redis+unix://$fake"
    found ok version "Redis $version"
  done
  # a server without HELLO
  serve say $'-ERR unknown command `HELLO`, with args beginning with: `2`, \r\n$25\r\n# Server\r\nredis_version:5\r\n\r\n' leave reading
  examined 1 --store "redis+unix://$fake"
  found FAIL version 'Redis 5'
  serve say $'-ERR unknown command `HELLO`, with args beginning with: `2`, \r\n$73\r\n# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n\r\n' leave reading
  examined 1 --store "redis+unix://$fake"
  found ok version 'Valkey 8.1.1'
  serve say $'-ERR unknown command `HELLO`, with args beginning with: `2`, \r\n-ERR unknown command `INFO`\r\n' leave reading
  examined 1 --store "redis+unix://$fake"
  found advice version 'does not report it'
}

@test "a clock that differs is reported as advice, with the direction" {
  for away in -90 90; do
    serve say "$(hello 7.0.15)"$'\n'"$(time_at $((EPOCHSECONDS + away)))"$'\n' leave reading
    examined 1 --store "redis+unix://$fake"
    if ((away < 0)); then found advice clock '1m' behind; else found advice clock '1m' 'ahead of'; fi
  done
}

@test "a server with a long round trip is reported as advice" {
  start_redis
  spawn "$HELPERS/slow_relay" "$PWD/relay" "$REDIS_SOCKET" --delay 150
  await test -S relay
  examined 0 --store "redis+unix://$PWD/relay"
  found advice 'round trip' ms shorter
}

@test "replies of a server cannot move the cursor, or break a line or the JSON" {
  serve say "$(hello $'7.0\e[2J\nok      writes')"$'\n' leave reading
  examined 1 --store "redis+unix://$fake"
  lacks "$output" $'\e'
  found ok version '7.0\x1b[2J\nok      writes'
  serve say "$(hello $'7.0\e[2J\xff"')"$'\n' leave reading
  examined 1 --json --store "redis+unix://$fake"
  lacks "$output" $'\e'
  contains "$output" '"message":"Redis 7.0\u001b[2J'
}

@test "invalid replies are findings" {
  for reply in $'*-1\r\n' $'*1\r\n*1\r\n:1\r\n' $'$-1\r\n' $':7\r\n' $'*3\r\n:1\r\n:2\r\n:3\r\n' $'+OK\r\n'; do
    for _ in {1..8}; do printf %s "$reply"; done >replies
    serve file replies leave reading
    run --separate-stderr -1 memolock doctor --store "redis+unix://$fake"
    equal '' "$stderr"
    contains "$output" FAIL
  done
}

# ---- permissions ----

@test "information that a managed server refuses to give is reported as advice" {
  start_redis
  allow managed '~*' '&*' +@all -info -config
  examined 0 --store "$(here managed:p@)"
  found advice memory 'does not report it: NOPERM' noeviction
  only_that
}

@test "each command in the least rule is reported when it is refused" {
  start_redis
  words=$(rule t)
  for word in $words; do
    [[ $word == +* ]] || continue
    name=${word#+}
    # shellcheck disable=SC2086
    allow least $words "-$name"
    case $name in
      scan)
        examined 0 --store "$(here least:p@)"
        found advice commands SCAN ls "ACL SETUSER least +scan"
        ;;
      subscribe | publish)
        examined 0 --store "$(here least:p@)"
        found advice channels "${name^^}" 'once per lease' "ACL SETUSER least +$name"
        ;;
      multi)
        examined 1 --store "$(here least:p@)"
        found FAIL commands "'multi'" 'the ACL rule'
        ;;
      *)
        examined 1 --store "$(here least:p@)"
        found FAIL commands "refused: ${name^^};" "ACL SETUSER least +$name"
        ;;
    esac
    equal 0 "$(redis dbsize)"
  done
}

@test "inaccessible keys are named, and inaccessible channels are advice" {
  start_redis
  words=$(rule t)
  for name in t t/lock t/meta t/files t/run t/part; do
    # shellcheck disable=SC2086
    allow least $words
    # shellcheck disable=SC2046
    allow least resetkeys $(grep -oE '~[^ ]+' <<<"$words" | grep -vxF "~$name:*")
    examined 1 --store "$(here least:p@)"
    found FAIL keys "no access to $name:*;" "ACL SETUSER least ~t:* ~t/lock:*"
  done
  for name in t/notif t/fail; do
    # shellcheck disable=SC2086
    allow least $words
    # shellcheck disable=SC2046
    allow least resetchannels $(grep -oE '&[^ ]+' <<<"$words" | grep -vxF "&$name:*")
    examined 0 --store "$(here least:p@)"
    found advice channels "no access to $name:*;" 'once per lease' "ACL SETUSER least &t/notif:* &t/fail:*"
  done
}

@test "if transactions are refused, no other command is tried, since it would be executed" {
  start_redis
  allow no_multi '~*' '&*' +@all -multi
  examined 1 --store "$(here no_multi:p@)"
  found FAIL commands MULTI
  lacks "$(redis info commandstats)" cmdstat_rename
  equal 0 "$(redis dbsize)"
}

@test "a database other than 0 requires SELECT" {
  start_redis
  lacks "$(rule t)" +select
  contains "$(rule t 3)" ' +select'
  # shellcheck disable=SC2046
  allow least $(rule t)
  examined 1 --store "$(here least:p@)?db=3"
  found FAIL login select 'ACL rule'
  # shellcheck disable=SC2046
  allow least $(rule t 3)
  examined 0 --store "$(here least:p@)?db=3"
}

@test "the rule covers only this tag, whatever characters it contains" {
  start_redis
  for tag in 'a*b?[c]\d' 'a b' "a'b\"c" 'ä' 'a-b^c'; do
    # shellcheck disable=SC2046
    allow least $(set -f && rule "$tag")
    run -0 memolock doctor --tag "$tag" --store "$(here least:p@)"
  done
  # shellcheck disable=SC2046
  allow least $(set -f && rule 'a*b')
  for tag in 'aab' 'a*bc' 'a*b/c' a; do
    run -1 memolock doctor --tag "$tag" --store "$(here least:p@)"
    contains "$(grep '^FAIL *keys' <<<"$output")" " $tag:*;"
  done
}

# ---- everything works with the least rule ----

# is_said STATUS TEXT COMMAND…: whether the command has this status and output, and prints no message.
is_said() {
  run --separate-stderr "${@:3}"
  [[ $status == "$1" && $output == "$2" && -z $stderr ]] || fail "$status: $output: $stderr"
}

get() { memolock get --tag t --id "$1" --ttl 1h "${@:2}"; }
spawn_get() { spawn "$MEMOLOCK_BIN" get -v --tag t --id "$1" --ttl 1h "${@:2}"; }

looks_up() { is_said 1 '' memolock get --tag t --id none; }
runs_once() { is_said 0 1 get a -- echo 1; }
hits() { is_said 0 1 get a -- echo 2; }
refreshes() { is_said 0 2 get a --refresh -- echo 2; }

takes_large_values() {
  head -c 1500000 /dev/urandom >large
  get large -- cat large >large.out 2>err && same_bytes large large.out && is_empty err \
    && get large >large.out && same_bytes large large.out
}

# wakes STATUS: a holder ends with the status, and its waiter must end with the same status within the patience of the
# test.
wakes() {
  local id=$1 waiter
  spawn_get "$id" -- held "$id" sh -c "echo shared; exit $1" 2>holder.err >holder.out
  await_or_end $! test -e "$id.started" || return
  spawn timeout "$patience" "$MEMOLOCK_BIN" get -v --tag t --id "$id" --ttl 1h -- false >waiter.out 2>waiter.err
  waiter=$!
  await_or_end $waiter grep -q 'waiting for' waiter.err || return
  release "$id"
  finish $waiter
  equal "$1 shared" "$status $(<waiter.out)" && lacks "$(<holder.err)" 'not stored:'
}
wakes_waiters() { wakes 0; }
shares_failures() { wakes 3; }

# await_or_end PID COMMAND…: waits until the command succeeds; fails if the process ends before that.
await_or_end() {
  await eval "$(printf '%q ' "${@:2}") || is_gone $1"
  "${@:2}"
}

sets() { is_said 0 '' memolock set --tag t --id s --ttl 1h <<<set && is_said 0 set memolock get --tag t --id s; }

keeps_promises() {
  is_said 0 kept get p --external -- sh -c '"$MEMOLOCK_BIN" renew && echo kept | "$MEMOLOCK_BIN" set --ttl 1h' \
    && run memolock get --tag t --id f --ttl 1h --external -- sh -c 'echo no | "$MEMOLOCK_BIN" fail --status 4' \
    && equal '4 no' "$status $output"
}

lists() { memolock ls --tag t >list && grep -q "^t	a	fresh" list; }
deletes() { is_said 0 1 memolock del --tag t --id a && memolock del --all --tag t >count && (($(<count) > 3)); }

# A large value is being uploaded when the lock turns out to belong to another holder.
gives_way() {
  get l -- sh -c 'redis-cli -s "$REDIS_SOCKET" set t/lock:l another >/dev/null; cat large' >large.out 2>err
  same_bytes large large.out && contains "$(<err)" lost && equal 0 "$(redis exists t/part:l)"
}

steps=(looks_up runs_once hits refreshes takes_large_values wakes_waiters shares_failures sets keeps_promises
  lists deletes gives_way)

# first_broken: prints the first step that fails for the user "least", or 'none'.
first_broken() {
  local step
  export REDIS_SOCKET MEMOLOCK_ON_STORE_ERROR=fail MEMOLOCK_STORE_TIMEOUT=30s MEMOLOCK_LEASE=30s
  MEMOLOCK_STORE=$(here least:p@)
  export MEMOLOCK_STORE
  redis flushall >/dev/null
  rm -f -- *.started *.go
  for step in "${steps[@]}"; do
    "$step" 2>why && continue
    broken=$step
    return
  done
  broken=none
}

@test "with the least rule all features of memolock work" {
  start_redis
  # shellcheck disable=SC2046
  allow least $(rule t)
  patience=40
  first_broken
  equal none "$broken" || fail "$(<why)"
}

@test "without any one command of the least rule something fails" {
  start_redis
  words=$(rule t)
  patience=8
  declare -A breaks
  for word in exec exists get hget hmget multi pttl strlen time; do breaks[$word]=looks_up; done
  for word in del eval hdel hkeys hset pexpire set type; do breaks[$word]=runs_once; done
  for word in publish subscribe unsubscribe; do breaks[$word]=wakes_waiters; done
  for word in persist rename; do breaks[$word]=takes_large_values; done
  breaks[scan]=lists
  for word in $words; do
    [[ $word == +* ]] || continue
    # shellcheck disable=SC2086
    allow least $words "-${word#+}"
    first_broken
    equal "${word#+}: ${breaks[${word#+}]}" "${word#+}: $broken"
    unset "breaks[${word#+}]"
  done
  equal '' "${!breaks[*]}"
}
