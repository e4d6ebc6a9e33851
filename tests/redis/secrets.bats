#!/usr/bin/env bats
# A server's password from any source appears in no message, process list, environment or file.
# store: redis
# bats file_tags=slow

load ../helpers/common
load ../helpers/faults

secret=sesame-8c1f
wrong=hunter2-77aa

setup() {
  isolate
  use_own_id
  patient
  start_redis --requirepass $secret
  at=127.0.0.1:$REDIS_PORT
  echo $secret >right.password
  echo $wrong >wrong.password
}

redis() { redis-cli --no-auth-warning -a $secret -s "$REDIS_SOCKET" "$@"; }

# with SOURCE PASSWORD COMMAND…: passes the password to memolock from this source.
with() {
  local password=$2 url=redis://$at words
  local -a given=() named=(--store "$url")
  case $1 in
    url) named=(--store "redis://:$password@$at") ;;
    url=) named=("--store=redis://default:$password@$at") ;;
    url-variable) named=() given=("MEMOLOCK_STORE=redis://:$password@$at") ;;
    config)
      mkdir -p "$XDG_CONFIG_HOME/memolock"
      echo "store = \"redis://:$password@$at\"" >"$XDG_CONFIG_HOME/memolock/config.toml"
      named=()
      ;;
    variable) given=("MEMOLOCK_REDIS_PASSWORD=$password") ;;
    redis-variable) given=("REDISCLI_AUTH=$password") ;;
    file)
      echo "$password" >password
      named+=(--password-file password)
      ;;
  esac
  # the first word of COMMAND is the verb
  "${spawned_or_not[@]}" env "${given[@]}" "$MEMOLOCK_BIN" "$3" "${named[@]}" "${@:4}"
}
spawned_or_not=()

sources=(url url= url-variable config variable redis-variable file)

# keeps_quiet FILE…: asserts that neither password is in these files.
keeps_quiet() { ! grep -aF -e "$secret" -e "$wrong" "$@" || fail 'a password is shown'; }

# tried ARGUMENT…: collects the messages at each level, with a correct and a wrong password from each source.
tried() {
  local source level password
  for source in "${sources[@]}"; do
    for level in -q '' -v -vv; do
      for password in $secret $wrong; do
        # shellcheck disable=SC2086
        with "$source" $password "$1" $level "${@:2}" >>said 2>&1 || true
      done
    done
    rm -rf "$XDG_CONFIG_HOME/memolock"
  done
}

@test "no message shows a password, whatever its source and the level of messages" {
  tried get --tag t --id "$id" --ttl 1h --report report -- echo output
  contains "$(<said)" WRONGPASS
  contains "$(<said)" "$at"
  equal 56 "$(wc -l <report)"
  keeps_quiet said report
}

@test "no message shows a password when the server is unreachable or does not answer" {
  export MEMOLOCK_STORE_TIMEOUT=300ms
  kill -STOP "$REDIS_PID"
  tried get --tag t --id "$id" --ttl 1h --store-timeout 50ms --report report -- echo output
  contains "$(<said)" 'no answer'
  end "$REDIS_PID"
  tried get --tag t --id "$id" --on-store-error fail --report report
  contains "$(<said)" 'connection refused'
  keeps_quiet said report
}

@test "no verb shows a password in a message" {
  # until then renew and fail try again after a refused login
  export MEMOLOCK_STORE_TIMEOUT=300ms
  for words in 'ls' 'del --tag t --id x' 'del --tag t --all' 'renew --tag t --id x --token abc' \
    'set --tag t --id x --ttl 1h right.password.not' 'fail --tag t --id x --token abc'; do
    # shellcheck disable=SC2086
    tried $words </dev/null
  done
  contains "$(<said)" WRONGPASS
  keeps_quiet said
}

@test "a final newline is not part of a password" {
  for newline in $'\n' $'\r\n'; do
    for source in variable redis-variable file; do
      equal output "$(with "$source" "$secret$newline" get --id "$id.$source" --ttl 1h --on-store-error fail -- echo output)"
    done
  done
  for newline in %0A %0D%0A; do
    for source in url url= url-variable config; do
      equal output "$(with "$source" "$secret$newline" get --id "$id.$source" --ttl 1h --on-store-error fail -- echo output)"
    done
    rm -rf "$XDG_CONFIG_HOME/memolock"
  done
  # only one newline is removed
  run -125 --separate-stderr with variable "$secret"$'\n\n' get --ttl 1h --on-store-error fail -- echo output
  contains "$stderr" WRONGPASS
}

@test "no usage error shows a password" {
  url=redis://:$secret@$at
  for words in "get --store $url/x" "get --store=$url/x" "get --store $url?db=1" "get --store http://:$secret@$at" \
    "get --store redis:/:$secret@$at" "get --store redis//:$secret@$at" "get --store $url --ttl soon" \
    "get --store $url --no-such-option" "ls --store $url extra" "get --store= $url" "get --sore=$url" \
    "get --sore $url" "get --store $url --store $url/x" "set --store $url a b c" "ls $url" "$url" "get --wait $url" \
    "get --wait=$url" "get --on-failure $url" "get --tag $url"; do
    # shellcheck disable=SC2086
    memolock $words -- true >>said 2>&1 || true
  done
  (MEMOLOCK_STORE=$url/x memolock ls || true) >>said 2>&1
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  for line in "store = \"$url/x\"" "store = [[\"$url\"]]" "store = \"$url" "stores = \"$url\""; do
    echo "$line" >"$XDG_CONFIG_HOME/memolock/config.toml"
    chmod 600 "$XDG_CONFIG_HOME/memolock/config.toml"
    (memolock get --tag t --id "$id" --ttl 1h -- true || true) >>said 2>&1
  done
  (($(wc -l <said) == 25))
  keeps_quiet said
}

# family PID: the process and its descendants.
family() {
  local child
  echo "$1"
  for child in $(pgrep -P "$1"); do family "$child"; done
}

@test "no process list shows a password: memolock, its waiters, its watchdog and its command" {
  spawned_or_not=(spawn)
  for source in "${sources[@]}"; do
    with "$source" $secret get --tag t --id "$id" --ttl 0 -- held a true
    holder=$!
    await test -e a.started
    with "$source" $secret get -v --tag t --id "$id" --ttl 0 -- false 2>err
    waiter=$!
    await began_to_wait 1 err
    pids=$(family $holder && family $waiter)
    (($(wc -l <<<"$pids") >= 4))
    for pid in $pids; do cat "/proc/$pid/cmdline"; done | tr '\0' ' ' >list
    contains "$(<list)" 'held a true'
    keeps_quiet list
    release a
    for pid in $holder $waiter; do
      finish "$pid"
      equal 0 "$status"
    done
    rm -rf a.* "$XDG_CONFIG_HOME/memolock"
  done
}

@test "the command's environment contains no password unless the caller's does" {
  for source in "${sources[@]}"; do
    with "$source" $secret get --tag t --id "$id" --refresh --ttl 1h -- env >"env.$source"
    grep -q "^MEMOLOCK_STORE=redis://.*$at" "env.$source"
    rm -rf "$XDG_CONFIG_HOME/memolock"
  done
  keeps_quiet env.{url,url=,config,file}
  equal 1 "$(grep -cF $secret env.variable)"
  equal 1 "$(grep -cF $secret env.redis-variable)"
  equal 1 "$(grep -cF $secret env.url-variable)"
}

@test "the same if the store is unreachable" {
  end "$REDIS_PID"
  for source in url url= config file; do
    with "$source" $secret get -q --tag t --id "$id" --ttl 1h -- env >"env.$source"
    grep -q ^MEMOLOCK_CONTROL= "env.$source"
    rm -rf "$XDG_CONFIG_HOME/memolock"
  done
  keeps_quiet env.*
}

@test "a password is neither stored on the server nor written to the disk" {
  with file $secret get --tag t --id "$id" --ttl 1h -- echo output
  with url $secret get --tag t --id "$id" --refresh --ttl 1h -- held a echo output &
  await test -e a.started
  for name in $(redis keys '*'); do redis dump "$name"; done >dumps
  grep -aq "$id" <(redis keys '*')
  find "$HOME" "/tmp/memolock-$UID" -type f -newer right.password -exec cat {} + >files 2>/dev/null || true
  release a
  wait $!
  keeps_quiet dumps files
}

# sanitizers_leave_cores: by default, sanitizers prevent core files and catch the signals.
sanitizers_leave_cores() {
  export ASAN_OPTIONS=disable_coredump=0:handle_segv=0:handle_abort=0
  export TSAN_OPTIONS=$ASAN_OPTIONS
}

@test "a memolock that is killed while it waits leaves no core file with a password" {
  sanitizers_leave_cores
  ulimit -c unlimited || skip 'the hard limit on core files is lower'
  (cd "$HOME" && sh -c 'kill -ABRT $$') || true
  compgen -G "$HOME/core*" >/dev/null || skip 'here core files go elsewhere'
  with file $secret get --tag t --id "$id" --ttl 0 -- held a sh -c 'ulimit -c; ulimit -Hc' >limits &
  holder=$!
  await test -e a.started
  spawned_or_not=(spawn)
  for signal in ABRT SEGV QUIT; do
    for source in "${sources[@]}"; do
      with "$source" $secret get -v --tag t --id "$id" --ttl 0 -- false 2>err
      waiter=$!
      await began_to_wait 1 err
      kill -$signal "$waiter"
      finish "$waiter"
      ((status > 128))
      rm -rf "$XDG_CONFIG_HOME/memolock"
    done
  done
  equal '' "$(compgen -G 'core*')"
  release a
  wait $holder
  equal $'unlimited\nunlimited' "$(<limits)"
}

@test "the command has the caller's limit on core files, including a lower one" {
  sanitizers_leave_cores
  for limits in '0 0' '0 4096' '4096 8192'; do
    read -r soft hard <<<"$limits"
    equal "$soft"$'\n'"$hard" "$(
      ulimit -Hc "$hard"
      ulimit -Sc "$soft"
      with file $secret get --tag t --id "$id" --refresh --ttl 1h -- bash -c 'ulimit -Sc; ulimit -Hc'
    )"
  done
}

# ---- a FIFO ----

@test "a password file can be a FIFO that is written late and in pieces" {
  mkfifo fifo
  spawn sh -c 'exec >fifo; printf "%s" "$0"; sleep 0.1; printf "%s\r\n" "$1"; sleep 60' ${secret:0:3} ${secret:3}
  equal hello "$(get --store "redis://$at" --password-file fifo --on-store-error fail -- echo hello)"
}

@test "the wait for a password that is never written ends after --wait" {
  mkfifo fifo
  run --separate-stderr -125 get --store "redis://$at" --password-file fifo --wait 1ms --store-timeout 300ms \
    --on-store-error fail -- echo hello
  one_own_line "$stderr"
  contains "$stderr" '--password-file: cannot read fifo: no data arrived in time'
}

@test "a password of more than 4095 bytes is refused" {
  head -c 4096 /dev/zero | tr '\0' a >long
  refused 'cannot read long: its first line is longer than 4095 bytes' \
    get --store "redis://$at" --password-file long --on-store-error fail -- echo hello
}
