#!/usr/bin/env bats
# What show displays of an entry on the local store only.
# store: local

load ../helpers/common

@test "show prints the command, quoted for a shell" {
  memolock get --tag t --id x --ttl 1h -- sh -c 'echo "a  b"; : '"'" x 2>/dev/null || true
  memolock get --tag t --id y --ttl 1h -- printf '%s\n' "it's" 'a  b' '' $'\x1b' >/dev/null
  equal "printf '%s\\n' 'it'\\''s' 'a  b' '' '\\x1b'" "$(memolock show --tag t --id y | sed -n 's/^command *//p')"
  memolock show --tag t --id y --json | jq -j '.entry.command | join("\u0000")' >got
  printf 'printf\0%%s\\n\0it'"'"'s\0a  b\0\0\x1b' >want
  same_bytes want got
}

@test "show treats a damaged entry as missing" {
  memolock get --tag t --id x --ttl 1h -- seq 1000 >/dev/null
  printf x | dd of="$MEMOLOCK_CACHE_DIR/t/x.entry" bs=1 seek=1000 conv=notrunc status=none
  run --separate-stderr -1 memolock show --tag t --id x
  equal '' "$output"
}
