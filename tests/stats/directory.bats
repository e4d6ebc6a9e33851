#!/usr/bin/env bats
# The cost of counting a hit, and the files that counting does not touch.
# store: local

load ../helpers/common

setup() {
  isolate
  use_store
  counts=$MEMOLOCK_CACHE_DIR/.stats/t.counts
}

needs_plain_build() {
  # a sanitizer does work of its own
  ! is_sanitized || skip 'built with a sanitizer'
}

@test "counting costs a hit at most four system calls, after its output" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  needs_plain_build
  get -- echo small
  strace -o trace "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false >/dev/null
  sed -n '/^write(1, /,/^exit_group/p' trace | grep -v -e '^write' -e '^exit_group' -e '^close' >after
  (($(wc -l <after) <= 4)) || fail "$(<after)"
  grep -q t.counts after
  equal 0 "$(sed '/^write(1, /,$d' trace | grep -c '\.stats')"
}

@test "counting costs a hit at most 5 % of its instructions" {
  needs_plain_build
  get -- echo small
  instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" \
      "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- false 2>&1 >/dev/null | awk '/Collected/ { print $4 }'
  }
  all=$(instructions)
  counting=$(instructions '--toggle-collect=memolock::maintain(*')
  ((counting > 100 && counting * 20 <= all)) || fail "$counting of $all"
}

# bats test_tags=slow
@test "no count is lost while processes only count, and others read and reset" {
  # each hit also adds three bytes
  for _ in {1..8}; do
    equal '36000 108000' "$("$HELPERS/count_calls" "$PWD/directory" 40 900)"
  done
}

@test "counters are neither listed nor deleted, and their directory is not a tag" {
  get -- true
  memolock get --tag .stats --id x --ttl 1h -- true
  memolock get --tag .gc --id x --ttl 1h -- true
  equal 3 "$(memolock ls | wc -l)"
  equal 1 "$(memolock del --all --tag .stats)"
  equal 3 "$(memolock stats | wc -l)"
}

@test "an invalid file of counters is not changed" {
  get -- true
  for kind in short long magic link; do
    rm -f "$counts"
    case $kind in
      short) head -c 4095 /dev/zero >"$counts" ;;
      long) head -c 4097 /dev/zero >"$counts" ;;
      magic) head -c 4096 /dev/zero >"$counts" ;;
      link) head -c 4096 /dev/zero >target && ln -s "$PWD/target" "$counts" ;;
    esac
    before=$(cksum <"$counts")
    run --separate-stderr -0 get -- true
    equal '' "$stderr"
    equal "$before" "$(cksum <"$counts")"
    equal '' "$(memolock stats)"
  done
}

@test "a file of another user is not written to" {
  ((EUID == 0)) || skip 'needs root'
  get -- true
  chown 65534 "$counts"
  before=$(cksum <"$counts")
  get -- true
  equal "$before" "$(cksum <"$counts")"
}

@test "on a full disk only the counting is lost" {
  small_disk size=256k
  export MEMOLOCK_CACHE_DIR=$PWD/small/store
  get -- echo out
  rm "$MEMOLOCK_CACHE_DIR/.stats/t.counts"
  head -c 1M /dev/zero >small/filler 2>/dev/null || true
  run --separate-stderr -0 get -- false
  equal out "$output"
  equal '' "$stderr"
  rm small/filler
  equal '' "$(find "$MEMOLOCK_CACHE_DIR/.stats" -type f)"
  get -- false
  equal 1 "$(memolock stats | cut -f 2)"
}

@test "the blocks of a file of counters are allocated on the disk" {
  get -- true
  (($(stat -c '%b * %B' "$counts") >= 4096)) || fail "$(stat "$counts")"
  equal '600 4096' "$(stat -c '%a %s' "$counts")"
}

@test "nothing is counted in a refused directory, or through a link in one" {
  mkdir -m 777 open
  mkdir victim
  ln -s "$PWD/victim" open/.stats
  memolock get --store "file://$PWD/open" --tag t --id x --ttl 1h -- true
  equal '' "$(ls -A victim)"
  rm open/.stats
  memolock get --store "file://$PWD/open" --tag t --id x --ttl 1h -- true
  equal '' "$(ls -A open)"
  # nor when the store is a server
  ln -s "$PWD/victim" open/.stats
  start_redis
  MEMOLOCK_CACHE_DIR=$PWD/open memolock get --store "redis+unix://$REDIS_SOCKET" --tag t --id x --ttl 1h -- true
  equal '' "$(ls -A victim)"
}

@test "counters are found through a link of their user" {
  mkdir -m 700 real
  ln -s real link
  for _ in 1 2; do MEMOLOCK_CACHE_DIR=$PWD/link memolock get --tag t --id x --ttl 1h -- true; done
  equal 1 "$(MEMOLOCK_CACHE_DIR=$PWD/link memolock stats --json | jq '.[0].hits')"
}

@test "gc removes damaged counters, so that counting continues" {
  memolock get --tag t --id x --ttl 1h -- true
  : >"$MEMOLOCK_CACHE_DIR/.stats/t.counts"
  memolock get --tag t --id x --ttl 1h -- true
  equal '[]' "$(memolock stats --json)"
  memolock gc
  memolock get --tag t --id x --ttl 1h -- true
  equal 1 "$(memolock stats --json | jq '.[0].hits')"
}
