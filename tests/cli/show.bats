#!/usr/bin/env bats
# show: everything known about an entry.

load ../helpers/common

# shown NAME: the value with this name, for t:x.
shown() { memolock show --tag t --id x | sed -n "s/^$1  *//p"; }

# field PATH: a field of the JSON document.
field() { memolock show --tag t --id x --json | jq -c "$1"; }

@test "show of a missing entry prints nothing and exits with 1" {
  run --separate-stderr -1 memolock show --tag t --id x
  equal '' "$output$stderr"
  run --separate-stderr -1 memolock show --tag t --id x --json
  equal '' "$output$stderr"
}

@test "show requires an id" {
  refused --id memolock show --tag t
}

# bats test_tags=slow
@test "an entry is shown with its status, times, sizes and holder" {
  memolock get --tag t --id x --ttl 1h -- sh -c 'sleep 0.1; printf 12345; printf 678 >&2' >/dev/null 2>&1
  equal t "$(shown tag)"
  equal x "$(shown id)"
  equal fresh "$(shown state)"
  [[ $(shown age) =~ ^[0-9.]+m?s$ ]]
  [[ $(shown 'time left') =~ ^59m ]]
  equal '0, exited' "$(shown status)"
  [[ $(shown 'run time') =~ ^[1-9][0-9.]*m?s$ ]]
  equal 1h "$(shown ttl)"
  equal '5 B' "$(shown stdout)"
  equal '3 B' "$(shown stderr)"
  [[ $(shown holder) =~ ^"$(uname -n)":[0-9]+$ ]]
}

@test "show --json has stable field names" {
  memolock get --tag t --id x --ttl 1h --stale 1d -- sh -c 'printf 12345'
  equal '["tag","id","entry","failure","mark","run"]' "$(field keys_unsorted)"
  equal '["t","x",null,null]' "$(field '[.tag, .id, .failure, .run]')"
  equal '["fresh",false,0,"exited",3600,90000,5,0,[],0,false,null]' "$(field '.entry |
    [.state, .foreign, .status, .end, .ttl, .retained, .stdout, .stderr, .artifacts, .artifacts_size, .ttl_by_command, .stale_by_command]')"
  equal true "$(field '.entry | .age >= 0 and .left > 3000 and .left <= 3600 and .run_time > 0 and .ended >= .began and .pid > 0')"
  equal "\"$(uname -n)\"" "$(field .entry.host)"
  # a shell can calculate with it, and every version of jq prints it alike
  contains "$(memolock show --tag t --id x --json)" '"ttl":3600,'
}

@test "an entry that never expires has no time left in JSON" {
  get -- true
  equal '["fresh",null,null]' "$(field '.entry | [.state, .left, .ttl]')"
  equal forever "$(shown 'time left')"
}

@test "a mark is shown with the ttl that was given, and its time left is counted from the start of the run" {
  memolock once --store "${MEMOLOCK_STORE-local}" --tag t --id x --ttl 50s -- sleep 0.2
  equal 50s "$(shown ttl)"
  equal 50s "$(shown retained)"
  [[ $(shown 'time left') =~ ^4[0-9](\.[0-9])?s$ ]] || fail "$(shown 'time left')"
  equal '[true,true,true]' "$(field '.mark | [.ttl, .retained | (. - 50 | fabs) < 0.001] + [.left < 49.8]')"
  memolock once --store "${MEMOLOCK_STORE-local}" --tag t --id y --ttl forever -- true
  run -0 memolock show --tag t --id y
  contains "$output" 'ttl         forever'
}

@test "the mark of once is shown, alone or together with an entry" {
  run -3 memolock once --store "${MEMOLOCK_STORE-local}" --tag t --id x --ttl 1h -- sh -c 'exit 3'
  equal 'failed, a run of once' "$(shown state)"
  equal '3, exited' "$(shown status)"
  equal '[null,"failed",3,null]' "$(field '[.entry, .mark.state, .mark.status, .run]')"
  memolock get --tag t --id x --ttl 1h -- true
  equal $'fresh\nfailed, a run of once' "$(shown state)"
  equal '["fresh","failed"]' "$(field '[.entry.state, .mark.state]')"
}

@test "a stored failure is shown together with the entry" {
  memolock get --tag t --id x --ttl 1ms --stale-if-error 1h -- true
  run memolock get --tag t --id x --ttl 1ms --stale-if-error 1h --cache-failures 1h -- sh -c 'exit 7'
  equal '["stale","failed",0,7]' "$(field '[.entry.state, .failure.state, .entry.status, .failure.status]')"
  equal $'stale\nfailed' "$(shown state)"
  memolock del --tag t --id x
  run -7 memolock get --tag t --id x --ttl 1h --cache-failures 1h -- sh -c 'exit 7'
  equal '[null,"failed"]' "$(field '[.entry, .failure.state]')"
}

@test "a run in progress is shown with its holder, together with the old entry" {
  spawn_get -- held a true
  await test -e a.started
  equal "running" "$(shown state)"
  equal "$(uname -n):$!" "$(shown holder)"
  equal "[null,\"running\",$!]" "$(field '[.entry, .run.state, .run.pid]')"
  release a
  finish_all
  spawn_get --refresh -- held b true
  await test -e b.started
  equal '["fresh","running"]' "$(field '[.entry.state, .run.state]')"
  lacks "$(memolock show --tag t --id x -v 2>&1)" token
  release b
  finish_all
}

@test "a result stored by set is shown as a success" {
  echo out | memolock set --tag t --id x --ttl 1h
  equal '["fresh",false,0,4]' "$(field '.entry | [.state, .foreign, .status, .stdout]')"
}

@test "the ttl and window that a command has set are shown as such" {
  # shellcheck disable=SC2016
  get -- sh -c 'printf "ttl=30s\nstale=1h\n" >>"$MEMOLOCK_CONTROL"'
  equal '30s, set by the command' "$(shown ttl)"
  equal '1h, set by the command' "$(shown stale)"
  equal '[true,30,3600]' "$(field '.entry | [.ttl_by_command, .ttl, .stale_by_command]')"
}

@test "artifacts are shown with their paths" {
  get --artifact 'a file' -- sh -c 'echo 1 >"a file"'
  equal '["a file"]' "$(field .entry.artifacts)"
  equal true "$(field '.entry.artifacts_size > 0')"
  [[ $(shown artifacts) =~ ^\'a\ file\'\;\ [0-9]+ ]]
}

@test "control characters in tags and ids are escaped, and invalid UTF-8 is included in JSON" {
  id=$'a\n\x1b[31m\xff'
  memolock get --tag t --id "$id" --ttl 1h -- true
  run -0 memolock show --tag t --id "$id"
  equal 'id          a\n\x1b[31m\xff' "${lines[1]}"
  memolock show --tag t --id "$id" --json >document
  equal 610a1b5b33316dff "$(jq -r .id_hex document)"
  equal null "$(jq .tag_hex document)"
  equal $'a\n\x1b[31m\xef\xbf\xbd' "$(jq -r .id document)"
}

@test "show accepts the id that key prints" {
  memolock get --ttl 1h -- echo derived
  id=$(memolock key -- echo derived)
  equal fresh "$(memolock show --id "$id" --json | jq -r .entry.state)"
}

@test "show to a full device is an error" {
  get -- true
  run --separate-stderr -125 sh -c '"$0" show --tag t --id x >/dev/full' "$MEMOLOCK_BIN"
  one_own_line "$stderr"
}
