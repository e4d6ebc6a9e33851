#!/usr/bin/env bats
# The files in examples/.
# bats file_tags=slow

load ../helpers/common
load ../helpers/http

setup() {
  isolate
  use_store
  examples=$BATS_TEST_DIRNAME/../../examples
  # where the examples expect memolock
  put_on_path
  export MEMOLOCK_REPORT=$PWD/report
}

teardown() {
  local name
  for name in "${terminals[@]}"; do tmux -L "$name" kill-server 2>/dev/null || true; done
  end_all
}
terminals=()

# ---- api-token ----

# api ANSWER: starts an API whose login returns this answer and logs each call.
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

@test "api-token: all callers share one login for the lifetime in its answer" {
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

@test "api-token: a token that is about to expire is not stored" {
  api '{"access_token": "short", "expires_in": 20}'
  for _ in 1 2; do equal short "$("$examples/api-token")"; done
  ran_times 2
  store_is_clean
}

@test "api-token: a failed login, or an answer without a token, is a failure and is not stored" {
  api ''
  run -22 --separate-stderr -- "$examples/api-token"
  equal '' "$output"
  for answer in '{"error": "who are you?"}' ' ' 'what?'; do
    printf '%s' "$answer" >answer.json
    run --separate-stderr -- "$examples/api-token"
    # 2 is the shell's status for a missing token; 4 is that of jq 1.6, and 5 that of jq 1.7, for invalid JSON
    ((status == 2 || status == 4 || status == 5)) || fail "status $status"
    equal '' "$output"
  done
  equal '' "$(memolock ls --tag api-token)"
  echo '{"access_token": "at last", "expires_in": 3600}' >answer.json
  equal 'at last' "$("$examples/api-token")"
}

# ---- CI ----

# project: makes a checkout whose build is logged.
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

# release: serves a release like that of `./dev package`, with this program for each architecture. Sets $version.
release() {
  local processor
  version=$(memolock --version | cut -d ' ' -f 2)
  mkdir -p release memolock-0/bin
  cp -L "$MEMOLOCK_BIN" memolock-0/bin/memolock
  for processor in x86_64 aarch64; do tar -czf "release/memolock-$version-linux-$processor.tar.gz" memolock-0; done
  (cd release && sha256sum -- *.tar.gz >SHA256SUMS)
  rm bin/memolock # so that the jobs use that of the archive
  serves_releases release
}

job_shell=(bash)
# job_in DIRECTORY FILE N: runs job N of FILE in a new checkout in that directory.
job_in() {
  mkdir -p "$1" home
  cp -r project "$1/checkout"
  /usr/bin/python3 "$BATS_TEST_DIRNAME/../helpers/ci_job.py" "$examples/$2" "$3" >"$1/job.sh"
  HOME=$PWD/home spawn "${job_shell[@]}" -c "cd '$1/checkout' && exec ${job_shell[*]} ../job.sh" >"$1/out" 2>"$1/err"
}

# jobs_of FILE NAME: runs its four jobs concurrently, each in its own checkout in a directory of that name.
jobs_of() {
  local job
  # shellcheck disable=SC2034 # those that finish_all waits for
  spawned=()
  for job in 1 2 3 4; do job_in "$2/$job" "$1" "$job"; done
  finish_all
}

# each_said DIRECTORY WORD: asserts what the tests of all four jobs printed.
each_said() {
  local job
  for job in 1 2 3 4; do equal "shard $job of $2" "$(tail -n 1 "$1/$job/out")"; done
}

# push FILE WORD RUNS: runs four jobs; asserts that their tests all print WORD and that the build has run RUNS times.
push() {
  jobs_of "$1" "push$((++pushes))"
  each_said "push$pushes" "$2"
  ran_times "$3"
}

# builds_once FILE VARIABLE=VALUE…: asserts that parallel and later jobs build once, and build again after a change of
# anything that the build depends on, including these variables.
builds_once() {
  local pushes=0 builds=3 variable
  project
  release
  push "$1" first 1
  push "$1" first 1
  echo second >project/src/main
  push "$1" second 2
  sed -i 's/cat/sed s,^,edited-,/' project/build.sh
  push "$1" edited-second 3
  for variable in "${@:2}"; do
    export "${variable?}"
    push "$1" edited-second $((++builds))
  done
  # besides the builds there were only hits and waits
  equal $((4 * pushes)) "$(jq -r .outcome report | grep -cxE 'miss|waited|hit')"
  equal "$builds" "$(jq -r .outcome report | grep -cx miss)"
  if on_redis; then (($(redis dbsize) > 0)) || fail 'the jobs have not used the server'; fi
}

@test "github-actions.yml: parallel jobs build once; later ones build again if a source, the script or the runner differs" {
  builds_once github-actions.yml RUNNER_ARCH=ARM64 ImageOS=another ImageVersion=another
}

@test "gitlab-ci.yml: parallel jobs build once; later ones build again if a source, the script or the runner differs" {
  builds_once gitlab-ci.yml CI_RUNNER_EXECUTABLE_ARCH=another CI_JOB_IMAGE=another
}

# refuses FILE MESSAGE: asserts that a job fails with this line in its output, before it has built anything.
refuses() {
  spawned=()
  rm -rf refused
  job_in refused "$1" 1
  finish "${spawned[0]}"
  ((status != 0)) || fail 'the job goes on'
  cat refused/out refused/err >log
  grep -qxF -- "$2" log || fail "$(<log)"
  ran_times 0
}

@test "github-actions.yml and gitlab-ci.yml: a wrong or missing checksum fails the job" {
  project
  release
  archive=$(cd release && echo *"$(uname -m).tar.gz")
  for change in "s/^[0-9a-f]*/$(printf %064d 0)/" 's/  /  not-/' 's/$/.asc/' 's/.*//'; do
    sed -i.right "$change" release/SHA256SUMS
    if [[ $change == */^* ]]; then
      message="the checksum of $archive is wrong"
    else
      message="SHA256SUMS does not contain $archive"
    fi
    refuses github-actions.yml "::error title=memolock::$message"
    refuses gitlab-ci.yml "memolock: $message"
    mv release/SHA256SUMS.right release/SHA256SUMS
  done
  echo more >>"release/$archive"
  refuses github-actions.yml "::error title=memolock::the checksum of $archive is wrong"
  refuses gitlab-ci.yml "memolock: the checksum of $archive is wrong"
}

@test "github-actions.yml: a runner without a package, and a version that does not exist, fail the job" {
  project
  release
  RUNNER_OS=Windows refuses github-actions.yml '::error title=memolock::memolock runs on Linux, not on Windows'
  RUNNER_ARCH=ARM refuses github-actions.yml '::error title=memolock::there is no package for the architecture ARM'
  rm "release/memolock-$version-linux-$(uname -m).tar.gz"
  refuses github-actions.yml \
    "::error title=memolock::cannot download $MEMOLOCK_RELEASES/v$version/memolock-$version-linux-$(uname -m).tar.gz"
  refuses gitlab-ci.yml \
    "memolock: cannot download $MEMOLOCK_RELEASES/v$version/memolock-$version-linux-$(uname -m).tar.gz"
  MEMOLOCK_RELEASES='' refuses gitlab-ci.yml 'memolock: set MEMOLOCK_RELEASES to the address of the releases'
}

@test "action.yml: an input that could change a path or another variable fails the job" {
  project
  release
  cp -r "$examples" examples
  examples=$PWD/examples
  for version in v1.2.3 1.2 1.2.3/../.. ''; do
    sed -i "s|^        with:|        with:\n          version: '$version'|" examples/github-actions.yml
    refuses github-actions.yml '::error title=memolock::the input version must have the form X.Y.Z'
    sed -i '/^          version: /d' examples/github-actions.yml
  done
  MEMOLOCK_STORE=$'local\nLD_PRELOAD=/x' refuses github-actions.yml \
    '::error title=memolock::the input store contains a control character'
}

@test "action.yml: wget is used where there is no curl" {
  project
  release
  mkdir tools
  for tool in awk bash cat counted env gzip mkdir rm sha256sum sh tail tar wget; do ln -s "$(command -v "$tool")" tools; done
  job_shell=(env "PATH=$PWD/tools" bash)
  jobs_of github-actions.yml wget
  each_said wget first
}

@test "gitlab-ci.yml: the jobs run with the tools of busybox" {
  project
  release
  mkdir busybox
  for tool in sh awk wget tar gzip sha256sum mkdir uname cat rm tail; do ln -s "$(command -v busybox)" "busybox/$tool"; done
  job_shell=("$PWD/busybox/sh")
  PATH=$PWD/busybox:$PATH jobs_of gitlab-ci.yml busybox
  each_said busybox first
  ran_times 1
}

# ---- CI without a server ----

# use_ci_cache: gives the jobs of this test a CI cache instead of a server.
use_ci_cache() {
  export CI_CACHE=$PWD/cache
  unset MEMOLOCK_STORE MEMOLOCK_CACHE_DIR
  project
  # a single job
  sed -i 's/shard \$1 of //' project/test.sh
  cp "$examples/ci-store" project
  release
  jobs=0
}

# job_said FILE WORD RUNS OUTCOME: runs a job and asserts that its test prints WORD, that the build has run RUNS times
# so far, and that the call of memolock ended with OUTCOME.
job_said() {
  spawned=()
  export GITHUB_RUN_ID=$((++jobs)) GITHUB_RUN_ATTEMPT=1
  job_in "job$jobs" "$1" 1
  finish_all
  equal "$2" "$(tail -n 1 "job$jobs/out")"
  equal '' "$(<"job$jobs/err")"
  ran_times "$3"
  equal "$4" "$(tail -n 1 report | jq -r .outcome)"
}

# builds_from_cache FILE: asserts that the build is taken from the cache, unless a source changed or there is no cache.
builds_from_cache() {
  job_said "$1" first 1 miss
  job_said "$1" first 1 hit
  echo second >project/src/main
  job_said "$1" second 2 miss
  job_said "$1" second 2 hit
  echo first >project/src/main
  job_said "$1" first 2 hit
  rm -r "$CI_CACHE"
  job_said "$1" first 3 miss
}

@test "github-actions-cache.yml: later jobs take the build from the cache, whatever its restored owner and modes" {
  use_ci_cache
  export ImageOS=ubuntu24 ImageVersion=1 CI_WRITE_ONCE=yes
  builds_from_cache github-actions-cache.yml
}

@test "gitlab-ci-cache.yml: later jobs take the build from the cache, whatever its restored owner, modes and times" {
  use_ci_cache
  export CI_RUNNER_EXECUTABLE_ARCH=linux/amd64 CI_JOB_IMAGE=alpine:3.22 CI_TIMES=none
  builds_from_cache gitlab-ci-cache.yml
}

@test "gitlab-ci-cache.yml: a failed test does not lose the build" {
  use_ci_cache
  export CI_RUNNER_EXECUTABLE_ARCH=linux/amd64 CI_JOB_IMAGE=alpine:3.22
  mv project/test.sh passing
  ln -s /bin/false project/test.sh
  spawned=()
  job_in failing gitlab-ci-cache.yml 1
  finish "${spawned[0]}"
  equal 1 "$status"
  mv passing project/test.sh
  job_said gitlab-ci-cache.yml first 1 hit
}

# ci_store WORD…: runs examples/ci-store on the directory `cached`.
ci_store() { "$examples/ci-store" "$1" cached "${@:2}"; }

# cached_get ID: `get` of an entry of 100 kB, with the directory `cached` as the store.
cached_get() { MEMOLOCK_CACHE_DIR=$PWD/cached memolock get --store local --tag t --id "$1" --ttl 1h -- counted head -c 100000 /dev/zero; }

# another_job: saves the directory `cached` and restores it, as between two jobs.
another_job() {
  CI_CACHE=$PWD/cache "$BATS_TEST_DIRNAME/../helpers/ci_cache" save cached key
  rm -r cached
  CI_CACHE=$PWD/cache "$BATS_TEST_DIRNAME/../helpers/ci_cache" restore cached key
}

# dated DAYS ID: sets the times of an entry in the directory `cached` to DAYS days ago.
dated() { touch -d "$1 days ago" "cached/t/$2.entry"; }

@test "ci-store: removes the least recently used entries, over several jobs" {
  ci_store prepare >/dev/null
  for id in 1 2 3 4; do
    cached_get "$id" >/dev/null
    dated $((10 - id)) "$id"
  done
  another_job
  ci_store prepare >/dev/null
  cached_get 1 >/dev/null
  ci_store trim 350kB
  equal '1 3 4' "$(cd cached/t && echo *.entry | sed 's/\.entry//g')"
  another_job
  ci_store prepare >/dev/null
  ci_store trim 150kB
  equal 1 "$(cd cached/t && echo *.entry | sed 's/\.entry//g')"
  ran_times 4
}

@test "ci-store: without a restored cache, creates an empty store in a directory that other users can write to" {
  mkdir -m 777 open
  cd open
  equal "MEMOLOCK_CACHE_DIR=$PWD/cached" "$(umask 0 && ci_store prepare)"
  equal 700 "$(stat -c %a cached)"
  cached_get 1 >/dev/null
  cached_get 1 >/dev/null
  ran_times 1
}

@test "ci-store: removes a link in place of the store without following it" {
  mkdir -m 755 elsewhere
  ln -s elsewhere cached
  ci_store prepare >/dev/null
  [[ ! -L cached ]] || fail 'the link is still there'
  equal 755 "$(stat -c %a elsewhere)"
}

# as_other_user: makes the directory `cached` of root a part of a project of another user, as whom "${as_user[@]}" runs
# commands, and enters the project.
as_other_user() {
  ((EUID == 0)) || skip 'only root can act for two users'
  uid=$((400000 + RANDOM))
  mkdir "$BATS_TEST_TMPDIR/project" "$BATS_TEST_TMPDIR/programs"
  mv cached project
  cd project || return
  chown "$uid" . "$RUNS"
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
  cp "$MEMOLOCK_BIN" "$examples/ci-store" "$BATS_TEST_TMPDIR/programs"
  export PATH=$BATS_TEST_TMPDIR/programs:$PATH
  as_user=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)
}

# all_of DIRECTORY: prints the names, owners and modes of everything in it.
all_of() { find "$1" -printf '%p %u %m\n' | sort; }

# leaves DIRECTORY COMMAND…: asserts that the command fails with one line on stderr, and changes nothing in DIRECTORY.
leaves() {
  local before
  before=$(all_of "$1")
  run --separate-stderr -1 -- "${@:2}"
  equal '' "$output"
  equal 1 "$(wc -l <<<"$stderr")"
  equal "$before" "$(all_of "$1")"
}

@test "ci-store: a user other than root copies another user's entries and skips unreadable ones" {
  for id in 1 2; do cached_get "$id" >/dev/null; done
  chmod -R a+rX cached
  chmod 600 cached/t/2.entry
  as_other_user
  run -0 --separate-stderr -- "${as_user[@]}" ci-store prepare cached
  equal "MEMOLOCK_CACHE_DIR=$PWD/cached" "$output"
  equal "ci-store: cannot copy all of $PWD/cached; some entries are left out" "$stderr"
  export MEMOLOCK_CACHE_DIR=$PWD/cached
  unset MEMOLOCK_STORE
  for id in 1 2; do "${as_user[@]}" "$BATS_TEST_TMPDIR/programs/memolock" get --tag t --id "$id" --ttl 1h -- counted true >/dev/null; done
  ran_times 3
  equal "$uid" "$(stat -c %u cached)"
}

@test "ci-store: a slash after the name of the store has no effect" {
  cached_get 1 >/dev/null
  chmod -R a+rwX cached
  as_other_user
  equal "MEMOLOCK_CACHE_DIR=$PWD/cached" "$("${as_user[@]}" ci-store prepare cached// 2>&1)"
  equal "$uid 600" "$(stat -c '%u %a' cached/t/1.entry)"
  equal cached "$(ls)"
  mkdir -m 755 elsewhere
  ln -s elsewhere link
  ci-store prepare link/ >/dev/null
  [[ ! -L link ]] || fail 'the link is still there'
  equal 755 "$(stat -c %a elsewhere)"
}

@test "ci-store: a name that cannot be that of a store is refused" {
  mkdir -p checkout/inner/cached
  cd checkout/inner
  for name in '' . ./ .. ../ cached/. cached/.. cached/../; do
    leaves "$BATS_TEST_TMPDIR/checkout" "$examples/ci-store" prepare "$name"
    equal "ci-store: '$name' is not the name of a store" "$stderr"
    leaves "$BATS_TEST_TMPDIR/checkout" "$examples/ci-store" trim "$name" 1MiB
  done
}

@test "ci-store: a directory that is not a store is refused, whoever owns it" {
  mkdir -p in/checkout/src
  echo text >in/checkout/src/main
  for _ in this other; do
    leaves in "$examples/ci-store" prepare in/checkout
    equal "ci-store: $PWD/in/checkout: contains src/main, which does not belong to memolock" "$stderr"
    ((EUID == 0)) || break
    chown -R 400000 in/checkout
  done
}

@test "ci-store: if a copy does not fit on the disk, another user's store is not replaced" {
  ((EUID == 0)) || skip 'only root can act for two users'
  for id in 1 2; do cached_get "$id" >/dev/null; done
  small_disk size=300k
  mv cached small
  chown -R 400000 small/cached
  leaves small "$examples/ci-store" prepare small/cached
  contains "$stderr" "ci-store: cannot copy all of $PWD/small/cached: "
  contains "$stderr" 'No space left on device'
}

@test "ci-store: wrong arguments are refused" {
  for words in '' 'prepare' 'trim cached' 'prepare cached 1MiB' 'save cached'; do
    # shellcheck disable=SC2086 # words
    run -2 -- "$examples/ci-store" $words
    equal 'usage: ci-store prepare DIR | ci-store trim DIR SIZE' "$output"
  done
  [[ ! -e cached ]]
}

# ---- tmux ----

# terminal NAME: starts tmux with its own session and client, whose screen goes to NAME.screen.
terminal() {
  terminals+=("$1")
  # shellcheck disable=SC2016
  TERM=xterm spawn script -qfc "stty rows 24 cols 120; exec tmux -L $1 -f '$examples/tmux.conf' new-session 'sleep 600'" \
    "$1.screen" </dev/null >/dev/null 2>&1
}

# redrawn N: whether the status lines have been drawn this often; triggers another redraw.
redrawn() {
  local name
  for name in "${terminals[@]}"; do tmux -L "$name" refresh-client -S 2>/dev/null || true; done
  (($(wc -l <report) >= $1))
}

shows() { grep -aqF "$2" "$1.screen"; }

@test "tmux.conf: the status lines of several tmux servers run the program once" {
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

# ask PATH N: sends N concurrent requests; the answers go to 1.answer and so on, their status codes to the file codes.
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

@test "server: the program that makes a report renews the promise when it takes longer than the lease" {
  MEMOLOCK_LEASE=10s MEMOLOCK_WAIT=1m PART=4 serves "$examples/server/serve"
  ask /report/renewable/2026 20
  all_got 200 '<report 2026 of 3 parts>' 20
  equal 1 "$(jq -r .outcome report | grep -cx miss)"
  ask /report/renewable/2026 1
  all_got 200 '<report 2026 of 3 parts>' 1
  equal 1 "$(jq -r .outcome report | grep -cx hit)"
}

# is_over NAME: whether no program of the example with this name is running.
is_over() { ! pgrep -f "^/bin/sh ./$1 $2 " >/dev/null; }

@test "server: a report whose program does not renew fails for all waiters, and a late result is refused" {
  MEMOLOCK_LEASE=1s PART=3 serves "$examples/server/serve"
  ask "/report/oh-no/$$" 20
  all_got 504 'oh no: not ready in time' 20
  await is_over report $$
  run -1 memolock get --tag oh-no --id $$
  store_is_clean
}

@test "server: an outside program sets the result for a stem" {
  MEMOLOCK_LEASE=20s MEMOLOCK_WAIT=1m serves "$examples/server/serve"
  ask /ext/stemmer/waiting 20
  all_got 200 wait 20
  equal 1 "$(jq -r .outcome report | grep -cx miss)"
  equal wait "$(memolock get --tag stemmer --id waiting)"
}

@test "server: characters with a meaning in a shell, and options, are ordinary text in a name" {
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
