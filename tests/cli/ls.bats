#!/usr/bin/env bats
# ls: one line for each entry or run, fields separated by tabs.

load ../helpers/common

# field N: this field of the only line that ls prints.
field() { memolock ls | cut -f "$1"; }

@test "ls of an empty store prints nothing" {
  run --separate-stderr -0 memolock ls
  equal '' "$output$stderr"
}

@test "a fresh entry is shown with tag, id, state, age, time left and size, and without a holder" {
  memolock get --tag t --id x --ttl 1h -- sh -c 'printf 12345; printf 678 >&2' >/dev/null 2>&1
  equal 7 "$(memolock ls | awk -F '\t' '{ print NF }')"
  equal t "$(field 1)"
  equal x "$(field 2)"
  equal fresh "$(field 3)"
  [[ $(field 4) =~ ^[0-9.]+m?s$ ]]
  [[ $(field 5) =~ ^59m ]]
  equal 8 "$(field 6)"
  equal - "$(field 7)"
}

@test "an entry past its ttl is shown as stale while it can still be served" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- true
  is_stale() { [[ $(field 3) == stale ]]; }
  await is_stale
  equal - "$(field 5)"
}

@test "a run is shown with the host and process id of its holder" {
  spawn_get -- held a true
  await test -e a.started
  equal running "$(field 3)"
  equal - "$(field 5)"
  equal "$(uname -n):$!" "$(field 7)"
  release a
  finish_all
  equal fresh "$(field 3)"
}

@test "an entry that is being refreshed has one line" {
  get -- echo old
  spawn_get --refresh -- held a true
  await test -e a.started
  equal running "$(memolock ls | cut -f 3)"
  release a
}

@test "waiters are not shown" {
  spawn_get -- held a true
  await test -e a.started
  spawn_get -- true
  await is_waiting $!
  equal 1 "$(memolock ls | wc -l)"
  release a
}

@test "ls --tag shows only the entries of that tag" {
  memolock get --tag t --id x --ttl 1h -- true
  memolock get --tag u --id x --ttl 1h -- true
  equal 2 "$(memolock ls | wc -l)"
  equal u "$(memolock ls --tag u | cut -f 1)"
  equal '' "$(memolock ls --tag v)"
}

@test "tags and ids are shown with control characters escaped, each on one line" {
  memolock get --tag t --id $'a\nb\tc\x1b[31m\x7f\xc2\x9b' --ttl 1h -- true
  run -0 memolock ls
  equal 1 "${#lines[@]}"
  equal 'a\nb\tc\x1b[31m\x7f\xc2\x9b' "$(field 2)"
}

# character CODE: prints the character in UTF-8, in any locale.
character() { LC_ALL=C.UTF-8 printf '%b' "\\U$1"; }

# The first and last character of each invisible range, and a visible neighbour.
@test "invisible characters, and those that reorder others, are escaped wherever a name is shown" {
  local code text escaped
  for code in 80 9f ad 34f 61c 115f 1160 17b4 17b5 180b 180e 180f 200b 200c 200d 200e 200f 2028 2029 202a 202e 2060 2066 \
    2069 206f 3164 fe00 fe0f feff ffa0 fff0 fff9 fffb 1bca0 1d173 1d17a e0000 e0001 e007f e0fff; do
    text=$(character $code)
    escaped=$(printf %s "$text" | od -An -tx1 | sed 's/ /\\x/g')
    ids+=("a${text}b") shown+=("a${escaped}b")
  done
  for id in "${ids[@]}"; do memolock get --tag "t" --id "$id" --ttl 1h -- true; done
  equal "$(printf '%s\n' "${shown[@]}" | sort)" "$(memolock ls | cut -f 2 | sort)"
  for i in 6 10 23 34 "$((${#ids[@]} - 1))"; do
    contains "$(memolock show --tag t --id "${ids[i]}")" "id          ${shown[i]}"
    contains "$(memolock get -v --tag t --id "${ids[i]}" 2>&1)" "t:${shown[i]}"
    equal "${ids[i]}" "$(memolock show --json --tag t --id "${ids[i]}" | jq -r .id)"
    lacks "$(memolock show --json --tag t --id "${ids[i]}")" "${ids[i]}"
  done
  for code in ac ae 200a 2027 202f 2070 fe10 fffd 1f600; do
    memolock get --tag seen --id "$(character $code)" --ttl 1h -- true
    contains "$(memolock ls --tag seen)" "$(character $code)"
  done
}

@test "printable characters of any language are shown unchanged" {
  memolock get --tag t --id 'ünï 日本語' --ttl 1h -- true
  equal 'ünï 日本語' "$(field 2)"
}

@test "it is not an error if the reader of ls exits early" {
  for i in {1..30}; do memolock get --tag t --id "$i" --ttl 1h -- true; done
  run -0 bash -c '"$0" ls | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}"' "$MEMOLOCK_BIN"
  [[ $output == 0 || $output == 141 ]]
}

@test "ls to a full device is an error" {
  get -- true
  run --separate-stderr -125 sh -c '"$0" ls >/dev/full' "$MEMOLOCK_BIN"
  one_own_line "$stderr"
}

@test "ls does not block a run and is not taken for a holder" {
  for i in {1..30}; do
    "$MEMOLOCK_BIN" ls >/dev/null 3>&- &
    pids+=($!)
    run -0 memolock get --tag t --id "$i" --ttl 1h --wait 0 -- true
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}

# ---- similar tags ----

@test "tags that are prefixes of others, or contain glob characters, are listed and deleted separately" {
  tags=(t tt t/t 't*' 't?' 't[a-z]' '*' 't\' 't.')
  for tag in "${tags[@]}"; do memolock get --tag "$tag" --id x --ttl 1h -- true; done
  for tag in "${tags[@]}"; do equal "$tag" "$(memolock ls --tag "$tag" --json | jq -r '.[].tag')"; done
  left=${#tags[@]}
  for tag in "${tags[@]}"; do
    equal 1 "$(memolock del --all --tag "$tag" --dry-run)"
    equal 1 "$(memolock del --all --tag "$tag")"
    left=$((left - 1))
    equal $left "$(memolock ls | wc -l)"
  done
}

# ---- JSON ----

@test "ls --json of nothing is an empty array" {
  equal '[]' "$(memolock ls --json)"
}

@test "ls --json is one array with stable field names" {
  memolock get --tag t --id x --ttl 1h -- echo 12345
  memolock get --tag t --id y --ttl forever -- true
  memolock get --tag t --id z --ttl 1ms --stale-if-error 1h -- true
  spawn "$MEMOLOCK_BIN" get --tag t --id run --ttl 1h -- held a true
  await test -e a.started
  memolock ls --json >document
  equal 4 "$(jq length document)"
  equal '["tag","id","kind","state","age","left","size","host","pid"]' "$(jq -c '.[0] | keys_unsorted' document)"
  of() { jq -c ".[] | select(.id == \"$1\") | $2" document; }
  equal '["t","entry","fresh",true,true,6,null,null]' "$(of x '[.tag, .kind, .state, .age >= 0, .left > 3000 and .left <= 3600, .size, .host, .pid]')"
  equal '["fresh",null]' "$(of y '[.state, .left]')"
  equal '["stale",0]' "$(of z '[.state, .left]')"
  equal "[\"entry\",\"running\",null,true,\"$(uname -n)\",$!]" "$(of run '[.kind, .state, .left, .age >= 0, .host, .pid]')"
  release a
  finish_all
}

@test "ls --json is valid for any bytes in a name, and preserves them" {
  id=$'\xff"\\\n\x01\xc3'
  memolock get --tag t --id "$id" --ttl 1h -- true
  memolock get --tag t --id ünï --ttl 1h -- true
  memolock ls --json | jq -r '.[] | .id_hex // "none"' | sort >got
  equal $'ff225c0a01c3\nnone' "$(<got)"
  equal ünï "$(memolock ls --json | jq -r '.[] | select(.id_hex == null) | .id')"
}

# ---- on a terminal ----

@test "on a terminal ls is a table with a header and with sizes and times in readable units" {
  memolock get --tag t --id x --ttl 1h -- head -c 1500 /dev/zero >/dev/null
  run on_terminal 80 "$MEMOLOCK_BIN ls"
  equal 2 "${#lines[@]}"
  [[ ${lines[0]} =~ ^TAG\ +ID\ +STATE\ +AGE\ +LEFT\ +SIZE\ +HOLDER$ ]]
  [[ ${lines[1]} =~ ^t\ +x\ +fresh\ +[0-9.]+m?s\ +59m[0-9]+s\ +1\.4\ KiB\ +-$ ]]
  equal '' "$(on_terminal 80 "$MEMOLOCK_BIN ls --tag none")"
}

@test "on a terminal no line of ls is wider than the screen, and a shortened name keeps both ends" {
  memolock get --tag a-rather-long-name-of-a-tag --id "begin-$(printf '%0200d' 0)-end" --ttl 1h -- true
  memolock get --tag t --id "$(printf '日本語%.0s' {1..40})" --ttl 1h -- true
  memolock get --tag t --id short --ttl 1h -- true
  for width in 40 60 61 80 120; do
    on_terminal $width "$MEMOLOCK_BIN ls" >table
    equal 4 "$(wc -l <table)"
    # a wide character takes two columns
    while IFS= read -r line; do
      wide=$(LC_ALL=C.UTF-8 grep -oP '[\x{3041}-\x{9fff}]' <<<"$line" | wc -l || true)
      columns=$(($(LC_ALL=C.UTF-8 wc -m <<<"$line") - 1 + wide))
      ((columns <= width)) || fail "$columns columns of $width: $line"
    done <table
  done
  grep -qE 'begin-0+\.\.0*-end' table
  grep -q short table
}

@test "on a terminal shortened tags remain distinguishable, including those cut at the edge" {
  memolock get --tag a-rather-long-name-of-a-tag --id "begin-$(printf '%0200d' 0)-end" --ttl 1h -- true
  memolock get --tag a-rather-long-name-of-another --id x --ttl 1h -- true
  for width in 40 60 80; do
    on_terminal $width "$MEMOLOCK_BIN ls" | cut -d ' ' -f 1 | sort >tags
    while read -r tag; do
      [[ $tag == TAG || (${#tag} -ge 8 && $tag =~ ^a-.*\.\..*[gr]$) ]] || fail "at $width: $tag"
    done <tags
    equal '3 3' "$(wc -l <tags) $(sort -u tags | wc -l)"
  done
  while IFS= read -r line; do [[ $line == *.. ]] || fail "$line"; done < <(on_terminal 40 "$MEMOLOCK_BIN ls")
}

@test "on a terminal control characters are escaped too" {
  memolock get --tag t --id $'a\x1b[31m\nb' --ttl 1h -- true
  contains "$(on_terminal 80 "$MEMOLOCK_BIN ls")" 'a\x1b[31m\nb'
}
