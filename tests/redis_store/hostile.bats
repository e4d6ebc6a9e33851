#!/usr/bin/env bats
# A hostile server, or another program that writes to it: its texts move no cursor and break no line.
# store: redis
# bats file_tags=slow

load ../helpers/common

setup() {
  isolate
  use_store
}

# What a terminal interprets: ESC, DEL, C1 controls in UTF-8, and changes of the direction of text.
evil=$'a\e[2J\x7fb\xc2\x9b31m\xe2\x80\xaec\xff'
shown='a\x1b[2J\x7fb\xc2\x9b31m\xe2\x80\xaec\xff'

# is_harmless TEXT: asserts that it contains nothing that a terminal interprets.
is_harmless() {
  local bad
  for bad in $'\e' $'\x7f' $'\xc2\x9b' $'\xe2\x80\xae'; do
    [[ $1 != *"$bad"* ]] || fail "not harmless: $(printf %q "$1")"
  done
}

# holder HOST: locks x with a token that has this host name.
holder() {
  local escaped
  escaped=$(printf %s "$1" | od -An -tx1 | tr -d '\n' | sed 's/ /%/g')
  redis set t/lock:x "0123456789abcdef0123456789abcdef-${2-1700000000000}-42@$escaped" px 60000 >/dev/null
}

@test "control characters in the host name of a holder are escaped" {
  holder "$evil"
  run -0 memolock ls
  contains "$output" "$shown:42"
  run -0 memolock ls --json
  is_harmless "$output"
  run -0 memolock show --tag t --id x
  contains "$output" "$shown:42"
  run -0 memolock show --tag t --id x --json
  is_harmless "$output"
  equal 42 "$(jq .run.pid <<<"$output")"
  run -124 get -vv --wait 0.1 -- true
  contains "$output" "$shown:42"
  is_harmless "$output"
  # the live line contains only control characters of memolock
  output=$(on_terminal 200 "timeout --foreground 60 '$MEMOLOCK_BIN' get --tag t --id x --ttl 1h --wait 5s -- true")
  contains "$output" "$shown:42"
  lacks "$output" $'\e[2J'
}

@test "a token with a false time is shown and does no harm" {
  for time in 9223372036854775807 -9223372036854775808 99999999999999999999 -1; do
    holder host "$time"
    run -0 memolock ls
    contains "$output" running
    run -124 get -vv --wait 0.1 -- true
  done
}

@test "control characters in fields of a foreign hash are escaped" {
  get -- echo output
  redis hset t/meta:x host "$evil" >/dev/null
  run -0 memolock show --tag t --id x
  contains "$output" "$shown"
  is_harmless "$output"
  run -0 memolock show --tag t --id x --json
  is_harmless "$output"
  equal output "$(memolock get --tag t --id x)"
}

@test "control characters in names of foreign keys are escaped" {
  redis set "$evil:$evil" value >/dev/null
  redis set "t:$evil" value >/dev/null
  redis set "t/lock:$evil" token >/dev/null
  run -0 memolock ls
  is_harmless "$output"
  run -0 memolock ls --tag t
  contains "$output" "$shown"
  run -0 memolock ls --json
  is_harmless "$output"
  printf %s "$evil" | od -An -tx1 | tr -d ' \n' >hex
  equal "$(<hex)" "$(memolock ls --tag t --json | jq -r '.[0].id_hex')"
}

# serve_evil: a server at $fake that replies to everything with an error that contains control characters.
serve_evil() {
  for _ in {1..20}; do printf -- '-%s %s\r\n' "${1-ERR}" "$evil"; done >replies
  fake=$BATS_TEST_TMPDIR/fake.$((${fake_number:-0}))
  fake_number=$((${fake_number:-0} + 1))
  spawn "$HELPERS/serve_bytes" "$fake" file replies read 9999
  await test -S "$fake"
}

@test "control characters in an error of the server are escaped, for every verb" {
  export MEMOLOCK_STORE_TIMEOUT=300ms
  for word in ERR WRONGTYPE NOAUTH MOVED OOM; do
    for verb in 'get -vv --id x --ttl 1h -- echo output' 'get -vv --id x --on-store-error fail' 'ls' 'show --id x' \
      'del --id x' 'del --all' 'set --id x --ttl 1h replies' 'renew --id x --token 0123456789abcdef0123456789abcdef' \
      'fail --id x --token 0123456789abcdef0123456789abcdef' 'doctor' 'doctor --json' \
      'get --id x --ttl 1h --report report -- echo output'; do
      serve_evil $word
      # shellcheck disable=SC2086
      run timeout 60 "$MEMOLOCK_BIN" ${verb%% *} --store "redis+unix://:pass@$fake" --tag t ${verb#"${verb%% *}"}
      ((status < 126))
      is_harmless "$output"
      while IFS= read -r line; do
        [[ $verb == doctor* || $line == output || $line == 'memolock: '* ]] || fail "not a line of ours: $line"
      done <<<"$output"
    done
  done
  is_harmless "$(<report)"
}

# say_at_port REPLY: a server at $at that sends REPLY to its first client.
say_at_port() {
  at=$(a_port)
  spawn "$HELPERS/serve_bytes" "$at" say "$1" read 9999 2>refusal
  await listens_at "$at"
}

@test "a sentinel's reply is not used as an address unless it has a valid host and port" {
  export MEMOLOCK_STORE_TIMEOUT=10s
  local -a hosts=("$evil" 'two words' '' host host host host) ports=(6379 6379 6379 99999 -1 1x '')
  for i in "${!hosts[@]}"; do
    host=${hosts[i]} port=${ports[i]}
    say_at_port "$(printf '*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' "$(printf %s "$host" | wc -c)" "$host" ${#port} "$port")"$'\n'
    run --separate-stderr -125 memolock get -vv --store "redis+sentinel://$at/main" --tag t --id x --on-store-error fail
    contains "$stderr" 'the reply is not an address'
    is_harmless "$stderr"
  done
}

@test "a redirection of a cluster node to an invalid host name is refused and shown escaped" {
  export MEMOLOCK_STORE_TIMEOUT=300ms
  for word in MOVED ASK; do
    say_at_port "$(printf -- "-$word 1 $evil:7\r\n%.0s" 1 2 3 4)"
    run -125 timeout 60 "$MEMOLOCK_BIN" get -vv --store "redis+cluster://$at" --tag t --id x --on-store-error fail
    is_harmless "$output"
  done
}

# serve_lines LINE…: a server at $fake that sends all lines to its only client, whatever the client asks.
serve_lines() {
  printf '%s\r\n' "$@" >replies
  fake=$BATS_TEST_TMPDIR/fake.$((${fake_number:-0}))
  fake_number=$((${fake_number:-0} + 1))
  spawn "$HELPERS/serve_bytes" "$fake" file replies read 99999
  await test -S "$fake"
}

# Texts of libraries about themselves or their end.
words_of_libraries='std::|vector|basic_string|bad_alloc|what\(\)|terminate|boost|hiredis|optional'

# bears VERB ARG…: asserts that the call exits with a status, that all messages are lines of memolock, and that a
# command runs once.
bears() {
  rm -f ran
  run --separate-stderr timeout 60 "$MEMOLOCK_BIN" "$1" --store "redis+unix://$fake" --tag t "${@:2}"
  ((status < 126)) || fail "status $status of $*: $stderr"
  ! grep -vE '^memolock: ' <<<"${stderr:-memolock: }" || fail "not a line of ours: $stderr"
  ! grep -qE "$words_of_libraries" <<<"$stderr" || fail "a library's words: $stderr"
  [[ " $* " != *' -- '* ]] || equal 1 "$(wc -l <ran)"
}

@test "too few elements in the reply of a script, after an out-of-memory error, are a store error" {
  for shape in '*0' '*1|:1' '*-1' ':0' '$-1' '+OK' '%1|+a|+b' '*6|:1|:2|:3|:4|:5|:6'; do
    IFS='|' read -ra answer <<<"$shape"
    serve_lines +OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED '-OOM x' "${answer[@]}"
    bears get --id x --ttl 1h --store-timeout 10s -- sh -c 'echo >>ran'
    equal 0 "$status"
    serve_lines +OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED '-OOM x' "${answer[@]}"
    run --separate-stderr -125 memolock get -v --store "redis+unix://$fake" --tag t --id x --store-timeout 10s \
      --on-store-error fail
    contains "$stderr" 'unexpected reply'
  done
}

@test "a primary that lacks the memory for the reply to ROLE is a store error" {
  say_at_port $'-OOM x\r\n-OOM x\r\n-OOM x\r\n-OOM x\r\n'
  primary=$at
  say_at_port "$(printf '*2\r\n$9\r\n%s\r\n$5\r\n%s\r\n' "${primary%:*}" "${primary#*:}")"$'\n'
  run --separate-stderr -0 memolock get --store "redis+sentinel://$at/main" --tag t --id x --ttl 1h \
    --store-timeout 10s -- sh -c 'echo >>ran'
  contains "$stderr" 'OOM x; running the command without the store'
  equal 1 "$(wc -l <ran)"
}

# Replies to EXEC and to pipelines; each | stands for the end of a line.
shapes=(':0' '*-1' '$-1' '*0' '*1|:1' '+OK' '%1|+a|+b' '%9223372036854775807' '%4611686018427387904' '*9223372036854775807'
  '*2147483647' '*1|*1|*1|*1|*1|*1|*1|*1|*1|*1|:1' '*5|*2|$1|1|$1|2|*-1|:-1|$1|v|*-1' '*5|:1|:1|:1|:1|:1'
  '*5|*2|$1|1|$1|2|*0|:-1|$1|v|*0' '*5|*2|$1|x|$1|2|*0|:-1|$-1|*2|$-1|$-1' '*6|:1|:2|:3|:4|:5|:6'
  '*5|$1|1|$1|2|$1|3|:-5|$-1' '*5|*2|$19|9223372036854775807|$19|9223372036854775807|*0|:-1|$-1|*2|$-1|$-1' '_5|:1'
  '>3|$7|message|:1|:2' '*3|$7|message|*0|*0' '$3|abc')

@test "a reply of the wrong type or length is a store error for every verb, and the command runs once" {
  export MEMOLOCK_STORE_TIMEOUT=100ms
  echo 0123456789abcdef >value
  token=0123456789abcdef0123456789abcdef
  for shape in "${shapes[@]}"; do
    IFS='|' read -ra answer <<<"$shape"
    # as the reply to each request, and as the reply to a transaction
    queued=(+OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED)
    for first in one all; do
      if [[ $first == one ]]; then all=("${answer[@]}" "${answer[@]}"); else all=("${queued[@]}" "${answer[@]}"); fi
      serve_lines "${all[@]}" && bears get --id x --ttl 1h -- sh -c 'echo >>ran'
      serve_lines "${all[@]}" && bears get --id x --on-store-error fail
    done
    all=("${answer[@]}" "${answer[@]}")
    serve_lines "${all[@]}" && bears lock --id x --on-store-error run -- sh -c 'echo >>ran'
    serve_lines "${all[@]}" && bears once --id x --ttl 1h --on-store-error run -- sh -c 'echo >>ran'
    serve_lines +OK +QUEUED +QUEUED "${answer[@]}" && bears once --id x --ttl 1h --on-store-error run -- sh -c 'echo >>ran'
    serve_lines +OK +QUEUED "${answer[@]}" && bears set --id x --ttl 1h --token $token value
    serve_lines '*2' '$1' 1 '$1' 2 "${answer[@]}" && bears set --id x --ttl 1h value
    serve_lines +OK +QUEUED "${answer[@]}" && bears fail --id x --token $token
    serve_lines +OK +QUEUED "${answer[@]}" && bears renew --id x --token $token
    serve_lines +OK "${queued[@]}" "${answer[@]}" && bears show --id x
    serve_lines "${all[@]}" && bears ls
    serve_lines '*2' '$1' 0 '*1' '$3' t:x "${all[@]}" && bears ls
    serve_lines "${all[@]}" && bears del --id x
    serve_lines "${all[@]}" && bears del --all
    serve_lines "${all[@]}" && bears del --lock --id x
    serve_lines "${all[@]}" && bears doctor
    serve_lines '*2' '$7' version '$5' 7.0.0 "${all[@]}" && bears doctor
  done
}

# ---- more data than expected ----

# read_little OPTION…: a get that cannot write a file of more than a MiB. $sent is the size of what the server has sent.
read_little() {
  redis config resetstat >/dev/null
  # shellcheck disable=SC2016
  run --separate-stderr bash -c 'ulimit -f 1024; exec "$0" get -v --tag t --id x --ttl 1h --on-store-error fail "$@"' \
    "$MEMOLOCK_BIN" "$@"
  sent=$(redis info stats | awk -F '[:\r]' '/^total_net_output_bytes/ { print $2 }')
}

@test "a value that is larger than --max-entry is a miss, and is not read" {
  head -c 70000000 /dev/zero | redis -x set t:x >/dev/null
  read_little
  equal 1 "$status"
  contains "$stderr" 't:x: the entry is larger than --max-entry (64.0 MiB); treated as a miss'
  ((sent < 20000000)) || fail "$sent bytes"
  read_little -- counted echo own
  equal own "$output"
  ((sent < 40000000)) || fail "$sent bytes"
  equal own "$(memolock get --tag t --id x)"
  ran_times 1
  # the same for stdout and artifacts that exceed it together
  get --refresh --artifact f -- sh -c 'head -c 600000 /dev/urandom | tee f' >/dev/null
  read_little --artifact f --max-entry 1MB -- counted sh -c 'echo small | tee f'
  equal small "$output"
  ran_times 2
}

@test "an outcome for waiters that is larger than --max-entry is a miss" {
  spawn_get -- held a sh -c 'head -c 3000000 /dev/zero; exit 3' >/dev/null
  await test -e a.started
  spawn_get --max-entry 1MiB -- counted echo own >out
  await is_waiting $!
  release a
  finish $!
  equal 0 "$status"
  equal own "$(<out)"
  ran_times 1
}
