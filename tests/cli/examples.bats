#!/usr/bin/env bats
# What lies in examples/, as it is.
# bats file_tags=slow

load ../helpers/common

setup() {
  isolate
  use_store
  examples=$BATS_TEST_DIRNAME/../../examples
  # where the examples look for it
  put_on_path
  export MEMOLOCK_REPORT=$PWD/report
}

teardown() {
  local name
  for name in "${terminals[@]}"; do tmux -L "$name" kill-server 2>/dev/null || true; done
  end_all
}
terminals=()

# serves COMMAND…: has a server of HTTP run in the background, and says in $url where.
serves() {
  LISTEN=127.0.0.1:0 spawn_server "$@" >server.log 2>&1
  await grep -q 'spawned uWSGI worker' server.log
  url=http://$(sed -n 's/.*bound to TCP address \([0-9.:]*\).*/\1/p' server.log)
}

# serves_script FILE: the same of a script that answers all requests.
serves_script() {
  serves uwsgi-core --plugin cgi --master --threads 16 --http-socket 127.0.0.1:0 --http-socket-modifier1 9 --cgi "$1"
}

# ---- api-token ----

# api ANSWER: an API whose login gives that, and writes down each.
api() {
  printf '%s' "$1" >answer.json
  cat >api <<'END'
#!/bin/sh
[ "$REQUEST_METHOD" = POST ] || { printf 'Status: 405 No\r\n\r\n'; exit; }
[ -s answer.json ] || { printf 'Status: 503 Down\r\n\r\n'; exit; }
printf 'Content-Type: application/json\r\n\r\n'
counted cat answer.json
END
  chmod +x api
  serves_script "$PWD/api"
  export API_LOGIN=$url/login
}

@test "api-token: all callers share one login, for as long as its answer says" {
  api '{"access_token": "secret-1", "expires_in": 7230}'
  for caller in {1..20}; do
    spawn "$examples/api-token" >"$caller.out"
  done
  finish_all
  for caller in {1..20}; do equal secret-1 "$(<"$caller.out")"; done
  ran_times 1
  left=$(memolock ls --tag api-token | cut -f 5)
  [[ $left == 1h59m* || $left == 2h* ]] || fail "time left: $left"
}

@test "api-token: a token that is about to end is not kept" {
  api '{"access_token": "short", "expires_in": 20}'
  for _ in 1 2; do equal short "$("$examples/api-token")"; done
  ran_times 2
  store_is_clean
}

@test "api-token: a login that fails, or has no token in its answer, is a failure and nothing is kept" {
  api ''
  run -22 --separate-stderr -- "$examples/api-token"
  equal '' "$output"
  for answer in '{"error": "who are you?"}' ' ' 'what?'; do
    printf '%s' "$answer" >answer.json
    run --separate-stderr -- "$examples/api-token"
    # 2 is the shell's, for a missing token; 4 that of jq 1.6 and 5 that of jq 1.7, for what is not JSON
    ((status == 2 || status == 4 || status == 5)) || fail "status $status"
    equal '' "$output"
  done
  equal '' "$(memolock ls --tag api-token)"
  echo '{"access_token": "at last", "expires_in": 3600}' >answer.json
  equal 'at last' "$("$examples/api-token")"
}

# ---- CI ----

# project: a checkout whose build is written down.
project() {
  mkdir -p project/src
  echo 'first' >project/src/main
  cat >project/build.sh <<'END'
#!/bin/sh
counted mkdir -p out && cat src/main >out/app
END
  cat >project/test.sh <<'END'
#!/bin/sh
echo "shard $1 of $(cat out/app)"
END
  chmod +x project/*.sh
}

# release: a tar.gz such as `./dev package` makes, and in MEMOLOCK_TARBALL where it can be had.
release() {
  mkdir -p memolock-0/bin
  cp -L "$MEMOLOCK_BIN" memolock-0/bin/memolock
  tar -czf memolock.tar.gz memolock-0
  rm bin/memolock # they are to use that one
  cat >file-server <<'END'
#!/bin/sh
printf 'Content-Type: application/gzip\r\n\r\n'
cat memolock.tar.gz
END
  chmod +x file-server
  serves_script "$PWD/file-server"
  export MEMOLOCK_TARBALL=$url/memolock.tar.gz
}

# jobs_of FILE NAME: its four jobs at once, each in its own checkout below a folder of that name.
jobs_of() {
  local job
  # shellcheck disable=SC2034 # those that finish_all waits for
  spawned=()
  for job in 1 2 3 4; do
    mkdir -p "$2/home$job"
    cp -r project "$2/$job"
    /usr/bin/python3 "$BATS_TEST_DIRNAME/../helpers/ci_job.py" "$examples/$1" "$job" >"$2/$job.sh"
    HOME=$PWD/$2/home$job spawn bash -c "cd '$2/$job' && exec bash '../$job.sh'" >"$2/$job.out" 2>"$2/$job.err"
  done
  finish_all
}

# each_said FOLDER WORD: what the tests of all four jobs saw.
each_said() {
  local job
  for job in 1 2 3 4; do equal "shard $job of $2" "$(<"$1/$job.out")"; done
}

# push FILE WORD RUNS: four jobs, whose tests all see the word; after them the build has run so often.
push() {
  jobs_of "$1" "push$((++pushes))"
  each_said "push$pushes" "$2"
  ran_times "$3"
}

# builds_once FILE VARIABLE…: with parallel jobs, with later ones, and again when anything has changed that the build
# depends on, be it what one of these variables says.
builds_once() {
  local pushes=0 builds=3 variable
  for variable in "${@:2}"; do export "$variable=one"; done
  project
  release
  push "$1" first 1
  push "$1" first 1
  echo second >project/src/main
  push "$1" second 2
  sed -i 's/cat/sed s,^,edited-,/' project/build.sh
  push "$1" edited-second 3
  for variable in "${@:2}"; do
    export "$variable=another"
    push "$1" edited-second $((++builds))
  done
  # only hits and waits beside the builds
  equal $((4 * pushes)) "$(jq -r .outcome report | grep -cxE 'miss|waited|hit')"
  equal "$builds" "$(jq -r .outcome report | grep -cx miss)"
}

@test "github-actions.yml: parallel jobs build once; later ones build again if a source, the script or the runner differs" {
  builds_once github-actions.yml RUNNER_ARCH ImageOS ImageVersion
}

@test "gitlab-ci.yml: parallel jobs build once; later ones build again if a source, the script or the runner differs" {
  builds_once gitlab-ci.yml CI_RUNNER_EXECUTABLE_ARCH CI_JOB_IMAGE
}

# ---- tmux ----

# terminal NAME: a tmux with a session and a client of its own, whose screen goes to NAME.screen.
terminal() {
  terminals+=("$1")
  # shellcheck disable=SC2016
  TERM=xterm spawn script -qfc "stty rows 24 cols 120; exec tmux -L $1 -f '$examples/tmux.conf' new-session 'sleep 600'" \
    "$1.screen" </dev/null >/dev/null 2>&1
}

# redrawn N: whether the status lines have asked so often; has them do so again.
redrawn() {
  local name
  for name in "${terminals[@]}"; do tmux -L "$name" refresh-client -S 2>/dev/null || true; done
  (($(wc -l <report) >= $1))
}

shows() { grep -aqF "$2" "$1.screen"; }

@test "tmux.conf: the status lines of several tmux servers have the program run once" {
  printf '#!/bin/sh\nexec counted echo 42\n' >bin/count-mail
  chmod +x bin/count-mail
  export TMUX_TMPDIR=$PWD
  : >report
  for name in one two three; do terminal "$name"; done
  for name in one two three; do await shows "$name" '42 mails'; done
  await redrawn 9
  ran_times 1
}

# ---- server ----

# ask PATH N: N requests at once; their answers in 1.answer and on, their codes in the file codes.
ask() {
  seq "$2" | xargs -P "$2" -I{} curl -s --max-time 60 -o '{}.answer' -w '%{http_code}\n' "$url$1" >codes
}

# all_got CODE TEXT N
all_got() {
  local each
  equal "$3 $1" "$(sort codes | uniq -c | awk '{ print $1, $2 }')"
  for ((each = 1; each <= $3; each++)); do equal "$2" "$(<"$each.answer")"; done
}

@test "server: of 100 concurrent requests for a query one runs it, and all get its result" {
  QUERY_TTL=1h MEMOLOCK_LEASE=20s MEMOLOCK_WAIT=1m serves "$examples/server/serve"
  ask /query/simple/likes 100
  all_got 200 '<query set result likes>' 100
  equal 1 "$(jq -r .outcome report | grep -cx miss)"
  equal 99 "$(jq -r .outcome report | grep -cxE 'hit|waited')"
}

@test "server: a report that takes longer than the lease is renewed by the program that makes it" {
  MEMOLOCK_LEASE=8s MEMOLOCK_WAIT=1m PART=3 serves "$examples/server/serve"
  ask /report/renewable/2026 20
  all_got 200 '<report 2026 of 3 parts>' 20
  equal 1 "$(jq -r .outcome report | grep -cx miss)"
  ask /report/renewable/2026 1
  all_got 200 '<report 2026 of 3 parts>' 1
  equal 1 "$(jq -r .outcome report | grep -cx hit)"
}

# is_over NAME: whether no such program of the example is left.
is_over() { ! pgrep -f "^/bin/sh ./$1 $2 " >/dev/null; }

@test "server: a report whose program forgets to renew fails for all who wait, and what comes late is not taken" {
  MEMOLOCK_LEASE=1s serves "$examples/server/serve"
  ask "/report/oh-no/$$" 20
  all_got 504 'oh no: not ready in time' 20
  await is_over report $$
  run -1 memolock get --tag oh-no --id $$
  store_is_clean
}

@test "server: a stem comes from an outside program that keeps the promise" {
  MEMOLOCK_LEASE=20s MEMOLOCK_WAIT=1m serves "$examples/server/serve"
  ask /ext/stemmer/waiting 20
  all_got 200 wait 20
  equal 1 "$(jq -r .outcome report | grep -cx miss)"
  equal wait "$(memolock get --tag stemmer --id waiting)"
}

@test "server: names are only names" {
  PART=0 serves "$examples/server/serve"
  for name in '--all' '%24%28touch%20x%29' '%3Btouch%20x' 'a%20b' '%2A'; do
    equal "200" "$(curl -s -o body -w '%{http_code}' --path-as-is "$url/query/simple/$name")"
    equal "<query set result $(printf '%b' "${name//%/\\x}")>" "$(<body)"
  done
  for path in / /query/simple/ /query/nope/x /query/simple; do
    equal 404 "$(curl -s -o body -w '%{http_code}' "$url$path")"
  done
  [[ ! -e $examples/server/x ]] || fail 'a shell has read a name'
}
