#!/usr/bin/env bats
# What every package must do, on each processor architecture: `./dev package --check` runs these in a system of the
# package's architecture, where only the package's files are memolock's.

load ../helpers/common

@test "a miss runs the command, a hit replays both streams and the status" {
  for expected in 1 1; do
    run --separate-stderr -7 get --cache-failures 1h -- counted sh -c 'echo out; echo err >&2; exit 7'
    equal out "$output"
    equal err "$stderr"
    equal "$expected" "$(runs)"
  done
}

@test "of 50 concurrent callers one runs the command, and all get its output" {
  for i in {1..50}; do spawn_get -v -- counted held a echo shared >"$i.out" 2>>err; done
  await began_to_wait 49 err
  release a
  finish_all
  equal 50 "$(cat ./*.out | grep -cx shared)"
  equal 1 "$(runs)"
}

@test "if the holder is killed, its command is killed and a waiter takes over" {
  short_lease
  spawn_get -- sh -c 'echo $$ >command.pid; : >a.started; exec sleep 600'
  holder=$!
  await test -e a.started
  spawn_get -v -- echo taken >out 2>err
  await began_to_wait 1 err
  end "$holder"
  finish "${spawned[1]}"
  equal taken "$(<out)"
  await is_gone "$(<command.pid)"
}

@test "a signal ends the call and its command, and nothing is left" {
  for signal in INT TERM HUP QUIT; do
    ulimit -c 0
    rm -f command.pid
    spawn_get -- sh -c 'echo $$ >command.pid; exec sleep 600'
    await test -s command.pid
    kill -"$signal" $!
    finish $!
    equal "$signal $((128 + $(kill -l "$signal")))" "$signal $status"
    await is_gone "$(<command.pid)"
    store_is_clean
  done
}

@test "artifacts are restored with their modes and links" {
  build() { memolock get --tag t --id x --ttl 1h --artifact out -- counted sh -c "$1"; }
  build 'mkdir -p out/bin; echo app >out/bin/app; chmod 750 out/bin/app; ln -s bin/app out/link'
  rm -r out
  build false
  equal 'app 750 bin/app' "$(cat out/link) $(stat -c %a out/bin/app) $(readlink out/link)"
  equal 1 "$(runs)"
}

@test "once runs a command once, lock one at a time" {
  for _ in 1 2 3; do memolock once --store "${MEMOLOCK_STORE-local}" --tag t --id x --ttl 1h -- counted true; done
  equal 1 "$(runs)"
  for _ in {1..20}; do spawn "$MEMOLOCK_BIN" lock --tag t --id x -- alone true; done
  finish_all
  equal 21 "$(runs)"
  [[ ! -e overlaps ]] || fail 'two commands ran at the same time'
}

@test "a server is used through TLS" {
  on_redis || skip 'a directory needs no connection'
  make_certificates certificates
  start_redis_tls "$PWD/certificates" --port 0
  export MEMOLOCK_STORE=rediss://localhost:$REDIS_TLS_PORT
  run -125 memolock get --tag t --id x --ttl 1h --on-store-error fail -- true
  run -125 memolock get --tag t --id x --ttl 1h --on-store-error fail --tls-ca certificates/stranger.pem -- true
  for _ in 1 2; do
    equal tls "$(memolock get --tag t --id y --ttl 1h --on-store-error fail --tls-ca certificates/ca.pem -- counted echo tls)"
  done
  equal 1 "$(runs)"
}

# ---- entries of other architectures ----

# inputs: makes the files that the ids below are derived from.
inputs() {
  mkdir -p $'in/f\303\266lder/empty'
  yes 0123456789 | head -n 7000 >in/large
  printf 'a\200\377\0b' >$'in/f\303\266lder/b\200d'
  chmod 755 in/large
  chmod 644 $'in/f\303\266lder/b\200d'
  ln -s large in/link
}

# ids: prints ids that are derived from bytes above 127 and from more than 64 KiB.
ids() {
  memolock key --no-key-cwd -- printf $'\377\200 \303\244' $'\t'
  memolock key --no-key-cwd --key-file in -- true
  VALUE=$'\200\377' memolock key --no-key-cwd --key-env VALUE --key-env ABSENT -- true
  yes 0123456789 | head -n 7000 | memolock key --no-key-cwd --key-stdin -- true
  memolock key --id $'\303\274/%\377' -- true
}

# calls: makes calls whose entries last a century, and prints the results.
calls() {
  run --separate-stderr memolock get --tag $'t\303\244g' --id $'\303\274/%\377' --ttl 5000w -- counted printf 'a\200\377b\n'
  printf '%s\n' "$status $output $stderr"
  memolock get --tag t --no-key-cwd --key-file in --ttl 5000w -- counted sh -c 'cat in/large; cat in/large in/large >&2' >large.out 2>large.err
  sha256sum large.out large.err
  run --separate-stderr memolock get --tag t --id failed --ttl 5000w --cache-failures 5000w -- counted sh -c 'echo sorry >&2; exit 77'
  printf '%s\n' "$status $output $stderr"
  rm -rf out
  memolock get --tag t --id files --ttl 5000w --artifact out -- counted cp -a in out
  (cd out && find . -type f -exec sha256sum {} + -o -type l -printf '%p %l\n' | sort)
  (cd out && find . ! -type l -printf '%m %p\n' | sort)
  memolock once --store "${MEMOLOCK_STORE-local}" --tag t --id 'done' --ttl 5000w -- counted true
}

# Entries that memolock stored on each architecture. To make them again, run this test there, for both stores, with
# RECORD_ENTRIES=DIRECTORY/ARCHITECTURE, and pack that as entries/ARCHITECTURE.tar.gz; `emulate` runs a command on arm64.
@test "entries stored on amd64 and on arm64 are hits, and ids are the same" {
  umask 022
  inputs
  ids >ids.here
  calls >first
  equal 5 "$(runs)"
  if [[ -n ${RECORD_ENTRIES-} ]]; then record_entries "$RECORD_ENTRIES" && return; fi
  for arch in amd64 arm64; do
    tar -xzf "$BATS_TEST_DIRNAME/entries/$arch.tar.gz"
    diff "$arch/ids" ids.here
    if on_redis; then
      redis flushall >/dev/null
      redis --pipe <"$arch/redis"
    else
      rm -rf "$MEMOLOCK_CACHE_DIR"
      cp -r "$arch/local" "$MEMOLOCK_CACHE_DIR"
      chmod -R go= "$MEMOLOCK_CACHE_DIR"
    fi
    calls >again
    diff first again
    equal 5 "$(runs)"
  done
}

# record_entries DIRECTORY: writes the ids and the content of the store there.
record_entries() {
  mkdir -p "$1"
  cp ids.here "$1/ids"
  if on_redis; then
    redis config set aof-use-rdb-preamble no >/dev/null
    redis config set appendonly yes >/dev/null
    await grep -q 'Background AOF rewrite finished successfully' "${REDIS_SOCKET%/*}/log"
    cat "${REDIS_SOCKET%/*}"/appendonlydir/*.base.aof >"$1/redis"
  else
    cp -r "$MEMOLOCK_CACHE_DIR" "$1/local"
    rm -r "$1"/local/.[!.]* # counters
  fi
}
