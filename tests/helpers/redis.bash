# Redis servers for a single test: `load helpers/redis`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# start_redis [OPTION…]: starts a server on the socket $REDIS_SOCKET and on port $REDIS_PORT of 127.0.0.1 and ::1,
# with the server's options given. It is ended with the test, or earlier by `end $REDIS_PID`.
start_redis() {
  REDIS_SOCKET=$(mktemp -d "$BATS_TEST_TMPDIR/redis.XXXXXX")/socket
  start_redis_again "$@"
}

# start_redis_again [OPTION…]: starts another server on the same socket, with the data that the last one has saved.
start_redis_again() {
  local home=${REDIS_SOCKET%/*}
  until launch_redis "$home" "$@"; do
    grep -q 'Address already in use' "$home/log" || {
      fail "no server: $(cat "$home/log")"
      return 1
    }
  done
}

# start_redis_tls DIRECTORY [OPTION…]: starts a server that also uses TLS, on port $REDIS_TLS_PORT, with the
# certificates that make_certificates has made in the directory.
start_redis_tls() {
  REDIS_CERTIFICATES=$1 start_redis "${@:2}"
}

# start_full_redis: starts a server that refuses all clients, because another client has its only place.
start_full_redis() {
  start_redis --maxclients 1
  mkfifo hold
  exec {to}<>hold
  await takes_the_place
}
# `redis ping` itself, or the last client, can have the place, and the other client would not notice that it is refused;
# a second `redis ping` does.
takes_the_place() {
  spawn "$HELPERS/redis_talk" "redis+unix://$REDIS_SOCKET" <hold
  { is_full && is_full; } || { end $! && false; }
}
is_full() { redis ping 2>&1 | grep -q 'max number'; }

server_within=() # the prefix with which a server is started
# launch_redis HOME [OPTION…]: one attempt to start a server, on random ports.
launch_redis() {
  local options=()
  unset REDIS_TLS_PORT
  REDIS_PORT=$((10000 + RANDOM % 20000))
  if [[ -n ${REDIS_CERTIFICATES-} ]]; then
    REDIS_TLS_PORT=$((REDIS_PORT + 1))
    mapfile -t options < <(tls_options | sed -e "s,^,--," -e "s, ,\n,")
    options+=(--tls-port "$REDIS_TLS_PORT")
  fi
  # The server is the same program as redis-check-rdb; so the package that would also start a service is not needed.
  # shellcheck disable=SC2016
  spawn_server "${server_within[@]}" bash -c 'exec -a redis-server redis-check-rdb "$@"' - \
    --port "$REDIS_PORT" --bind 127.0.0.1 ::1 --unixsocket "$REDIS_SOCKET" --dir "$1" \
    --save '' --appendonly no "${options[@]}" "${@:2}" >"$1/log" 2>&1
  REDIS_PID=$!
  await redis_has_begun
  ! is_gone "$REDIS_PID"
}

# redis_has_begun: whether the server answers, or has ended.
redis_has_begun() {
  [[ -S $REDIS_SOCKET && $(redis ping 2>&1) =~ ^(PONG|NOAUTH|NOPERM|LOADING|MASTERDOWN|ERR) ]] || is_gone "$REDIS_PID"
}

# redis WORD…: the server's reply to a command.
redis() { redis-cli -s "$REDIS_SOCKET" "$@"; }

# tls_options: the settings of a server or sentinel that uses TLS with $REDIS_CERTIFICATES.
tls_options() {
  printf '%s\n' "tls-auth-clients no" "tls-ca-cert-file $REDIS_CERTIFICATES/ca.pem" \
    "tls-cert-file $REDIS_CERTIFICATES/server.pem" "tls-key-file $REDIS_CERTIFICATES/server.key"
}

# make_certificates DIRECTORY: makes ca.pem; server.pem, for localhost and 127.0.0.1; client.pem; and stranger.pem, an
# authority that has signed neither. Their keys are NAME.key.
make_certificates() {
  local name
  mkdir -p "$1"
  for name in ca stranger; do new_certificate "$1" "$name" -x509 -days 2; done
  certify "$1" server 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  certify "$1" client 'extendedKeyUsage=clientAuth'
}

# new_certificate DIRECTORY NAME OPTION…: makes a key, and a certificate or request with `openssl req`.
new_certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" \
    -keyout "$1/$2.key" -out "$1/$2.pem" "${@:3}" 2>/dev/null
}

# certify DIRECTORY NAME EXTENSION: makes a certificate signed by ca.
certify() {
  new_certificate "$1" "$2"
  openssl x509 -req -in "$1/$2.pem" -CA "$1/ca.pem" -CAkey "$1/ca.key" -days 2 -extfile <(echo "$3") \
    -out "$1/$2.signed" 2>/dev/null
  mv "$1/$2.signed" "$1/$2.pem"
}

# make_nameless DIRECTORY NAME [EXTENSION]: makes the certificates of a server whose own has this common name and no
# other name.
make_nameless() {
  mkdir -p "$1"
  new_certificate "$1" ca -x509 -days 2
  certify "$1" "$2" "${3-keyUsage=digitalSignature}"
  for part in pem key; do mv "$1/$2.$part" "$1/server.$part"; done
}

# certify_expired DIRECTORY NAME EXTENSION: makes a certificate that was valid for a day in 2020. Only `openssl ca`
# accepts dates in the past in every version.
certify_expired() {
  new_certificate "$1" "$2"
  : >"$1/index"
  openssl ca -batch -notext -in "$1/$2.pem" -cert "$1/ca.pem" -keyfile "$1/ca.key" -md sha256 -outdir "$1" \
    -startdate 20200101000000Z -enddate 20200102000000Z -extfile <(echo "$3") -out "$1/$2.signed" -config <(
      printf '%s\n' '[ca]' default_ca=tests '[tests]' "database=$1/index" rand_serial=yes policy=any '[any]' \
        commonName=supplied
    ) 2>/dev/null
  mv "$1/$2.signed" "$1/$2.pem"
}
