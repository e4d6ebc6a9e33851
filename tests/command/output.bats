#!/usr/bin/env bats
# Output is stored and replayed byte for byte.

load ../helpers/common

# replays_alike SCRIPT: asserts that the output of the script is passed on byte for byte by a miss and a hit.
replays_alike() {
  sh -c "$1" >want.out 2>want.err
  get -- counted sh -c "$1" >miss.out 2>miss.err
  get -- counted sh -c "$1" >hit.out 2>hit.err
  ran_times 1
  for pass in miss hit; do
    same_bytes want.out $pass.out
    same_bytes want.err $pass.err
  done
}

@test "NUL bytes are preserved" {
  replays_alike 'printf "a\000b\000\000"; printf "\000\377" >&2'
  equal 5 "$(wc -c <hit.out)"
}

@test "no newline is added to the end" {
  replays_alike 'printf no-newline; printf neither >&2'
}

@test "empty output remains empty" {
  replays_alike ':'
}

@test "output of newlines only is preserved" {
  replays_alike 'printf "\n\n\n"; printf "\n" >&2'
}

@test "every byte value is preserved" {
  for i in {0..255}; do printf '%b' "\\0$(printf %o "$i")"; done >all
  equal 256 "$(wc -c <all)"
  replays_alike 'cat all; cat all >&2'
}

@test "output to stderr alone is replayed to stderr" {
  replays_alike 'echo only >&2'
}

@test "100 KiB on both streams at the same time are preserved" {
  head -c 102400 /dev/urandom >one
  head -c 102400 /dev/urandom >two
  replays_alike 'cat one & cat two >&2; wait'
}

@test "blocks that alternate between the streams are preserved" {
  replays_alike 'for i in $(seq 300); do printf "%01000d" $i; printf "%0997d" $i >&2; done'
}

@test "more than 1 MiB is preserved" {
  head -c 1500001 /dev/urandom >large
  replays_alike 'cat large; head -c 1200003 large >&2'
}

@test "sizes around that of a block are preserved" {
  for size in 1 4095 4096 4097 8047 8192 8193 65535 65536 65537; do
    head -c $size /dev/urandom >piece
    memolock get --tag s --id $size --ttl forever -- cat piece >miss
    memolock get --tag s --id $size >hit
    same_bytes piece miss
    same_bytes piece hit
  done
}

# bats test_tags=slow
@test "100 MiB are preserved" {
  export large=$BATS_TEST_TMPDIR/large
  head -c 104857600 /dev/urandom >"$large"
  get --max-entry 1GiB -- cat "$large" | cmp - "$large"
  memolock get --max-entry 1GiB --tag t --id x | cmp - "$large"
  memolock get --max-entry 1GiB --tag t --id x >hit
  same_bytes "$large" hit
}

@test "a waiter gets the same bytes on the same streams" {
  head -c 300000 /dev/urandom >large
  spawn_get -- held a counted sh -c 'cat large; printf "e\000" >&2' >1.out 2>1.err
  await test -e a.started
  spawn_get -- counted false >2.out 2>2.err
  await is_waiting $!
  release a
  finish_all
  same_bytes large 2.out
  same_bytes 1.err 2.err
  ran_times 1
}

@test "output is passed on before the command ends" {
  spawn_get -- sh -c 'printf drip; printf drop >&2; exec held a true' >out 2>err
  await grep -q drip out
  await grep -q drop err
  [[ ! -e a.go ]]
  release a
  finish_all
}

@test "output to a pipe is passed on before the command ends" {
  mkfifo pipe
  exec 4<>pipe
  spawn_get -- sh -c 'echo drip; held a echo rest' >pipe
  read -r -t 30 line <&4
  equal drip "$line"
  [[ ! -e a.go ]]
  release a
  read -r -t 30 line <&4
  equal rest "$line"
  exec 4<&-
  finish_all
}

@test "output is appended at the current position of the caller's file" {
  for _ in 1 2; do
    {
      echo before
      get -- echo text
      echo after
    } >>file
  done
  equal $'before\ntext\nafter\nbefore\ntext\nafter' "$(<file)"
}

@test "calls that share an open file as their stdout do not overwrite each other's output" {
  for id in 1 2 3 4; do
    yes "$id" | head -c 8000000 >"want.$id"
    memolock get --tag t --id "$id" --ttl forever -- cat "want.$id" >/dev/null
  done
  for refresh in '' --refresh; do
    {
      for id in 1 2 3 4; do
        spawn "$MEMOLOCK_BIN" get --tag t --id "$id" --ttl forever ${refresh:+"$refresh"} -- cat "want.$id"
      done
      finish_all
    } >shared
    # a line can be divided, but nothing is lost
    equal 32000000 "$(wc -c <shared)"
    for id in 1 2 3 4; do equal "$id: 4000000" "$id: $(tr -cd "$id" <shared | wc -c)"; done
  done
}

@test "two streams into one file do not overwrite each other" {
  get -- sh -c 'echo out; echo err >&2' >miss 2>&1
  get -- false >hit 2>&1
  equal $'err\nout' "$(sort miss)"
  equal $'err\nout' "$(sort hit)"
}
