#!/usr/bin/env bats
# What ls shows of runs and expired entries on the local store.
# store: local
# bats file_tags=slow

load ../helpers/common

@test "the size of a run is that of its output so far" {
  spawn_get -- sh -c 'printf 12345; exec held a true' >/dev/null
  await test -e a.started
  shown_size() { [[ $(memolock ls | cut -f 3,6) == $'running\t5' ]]; }
  await shown_size
  release a
  finish_all
}

@test "an entry or a failure that can no longer be served is shown as expired" {
  local tag
  for tag in entry failure; do
    memolock get --tag $tag --id x --ttl 1ms --stale 1ms --cache-failures 1ms -- [ $tag = entry ] || true
    await eval '[[ $(memolock ls --tag $tag | cut -f 3) == expired ]]'
    equal expired "$(memolock show --tag $tag --id x | sed -n 's/^state *//p')"
    equal '["expired",0]' "$(memolock ls --tag $tag --json | jq -c '.[] | [.state, .left]')"
  done
}

@test "in place of an expired entry its failure is shown, unless that is damaged" {
  memolock get --tag t --id x --ttl 1ms -- true
  await eval '[[ $(memolock ls | cut -f 3) == expired ]]'
  memolock get --tag t --id x --ttl 1h --cache-failures 1h -- false || true
  equal failed "$(memolock ls | cut -f 3)"
  : >"$MEMOLOCK_CACHE_DIR/t/x.failed"
  equal expired "$(memolock ls | cut -f 3)"
}

# copies N NAME: makes N links NAME1, NAME2, … to the entry t:x.
copies() {
  (cd "$MEMOLOCK_CACHE_DIR/t" && /usr/bin/python3 -c '
import os, sys
for i in range(int(sys.argv[1])):
    os.link("x.entry", f"{sys.argv[2]}{i + 1}.entry")
' "$@")
}

# within KIBIBYTES COMMAND…: runs memolock with an address space of this size.
within() { (ulimit -v "$1" && exec "$MEMOLOCK_BIN" "${@:2}" >out 2>/dev/null); }

@test "ls, ls --json and gc of 20 000 entries need at most a mebibyte more memory than of one" {
  ! is_sanitized || skip 'built with a sanitizer'
  memolock get --tag t --id x --ttl 1h -- true
  enough=4096
  until within $enough ls --json; do enough=$((enough + 256)); done
  # names long enough that a list of them would need an allocation each
  copies 20000 a-name-that-has-a-usual-length-
  for words in 'ls' 'ls --json' 'gc --dry-run'; do
    # shellcheck disable=SC2086
    within $((enough + 1024)) $words || fail "$words"
    [[ $words == gc* ]] || (($(wc -l <out) >= 20001))
  done
}

@test "on a terminal ls shows all lines, even if there are more than it uses to measure the widths" {
  memolock get --tag t --id x --ttl 1h -- true
  copies 1200 y
  equal 1202 "$(on_terminal 80 "$MEMOLOCK_BIN ls" | wc -l)"
}
