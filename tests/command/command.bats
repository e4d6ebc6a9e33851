#!/usr/bin/env bats
# How the command is started: its arguments, stdin, descriptors and signals.

load ../helpers/common

@test "arguments with spaces, quotes or nothing in them arrive unchanged" {
  words=('two words' '' '*' "it's" '"' '$HOME' '\n' $'new\nline' ' ' '--' '-x' 'ünï')
  get -- printf '<%s>' "${words[@]}" >got
  printf '<%s>' "${words[@]}" | cmp - got
}

@test "the last argument can be empty" {
  run -0 get -- sh -c 'echo $#' - a '' ''
  equal 3 "$output"
}

@test "a process substitution can be an argument" {
  run -0 get -- cat <(echo one) <(echo two)
  equal $'one\ntwo' "$output"
}

@test "stdin reaches the command on a miss" {
  run -0 get -- cat <<<'the input'
  equal 'the input' "$output"
}

@test "a large stdin reaches the command" {
  seq 300000 >want
  get -- cat <want >got
  same_bytes want got
}

@test "stdin is untouched on a hit" {
  get -- true
  {
    get -- cat
    read -r line
    equal first "$line"
  } <<<$'first\nsecond'
}

@test "stdin is untouched while waiting" {
  spawn_get -- held a echo held
  await test -e a.started
  spawn bash -c '"$0" get -v --tag t --id x --ttl 1h -- cat 2>err; cat' "$MEMOLOCK_BIN" <<<'mine' >out
  await test -e err
  await began_to_wait 1 err
  release a
  finish_all
  equal $'held\nmine' "$(<out)"
}

@test "stdin remains a terminal, or anything else that it was" {
  echo in >file
  run -0 get -- readlink /proc/self/fd/0 <file
  equal "$BATS_TEST_TMPDIR/file" "$output"
}

@test "the command is looked up in PATH" {
  mkdir bin
  printf '#!/bin/sh\necho mine\n' >bin/my-command
  chmod +x bin/my-command
  PATH=$PWD/bin:$PATH run -0 get -- my-command
  equal mine "$output"
}

@test "a script without an interpreter line runs as in a shell" {
  echo 'echo plain' >script
  chmod +x script
  run -0 get -- ./script
  equal plain "$output"
}

@test "the command runs in the caller's directory" {
  mkdir folder
  cd folder
  run -0 get -- pwd
  equal "$BATS_TEST_TMPDIR/folder" "$output"
}

@test "the command inherits the caller's umask" {
  umask 027
  run -0 get -- sh -c umask
  equal 0027 "$output"
}

@test "the command inherits no descriptor of memolock" {
  ls /proc/self/fd >direct
  get -- ls /proc/self/fd >through
  same_bytes direct through
  MEMOLOCK_BYPASS=1 get -- ls /proc/self/fd >bypassed
  same_bytes direct bypassed
}

@test "the command inherits the caller's own descriptors" {
  echo seven >file
  run -0 get -- sh -c 'cat <&7' 7<file
  equal seven "$output"
}

# masks COMMAND…: the signals that are blocked or ignored when COMMAND starts.
masks() { "$@" grep -E '^Sig(Blk|Ign):' /proc/self/status; }

@test "the command inherits the signal mask and dispositions that memolock was started with" {
  through=("$MEMOLOCK_BIN" get --tag t --ttl 0 --id)
  equal "$(masks env)" "$(masks "${through[@]}" a --)"
  ignoring=(env --ignore-signal={HUP,PIPE,USR1,CHLD,XFSZ})
  equal "$(masks "${ignoring[@]}")" "$(masks "${ignoring[@]}" "${through[@]}" b --)"
  blocking=(env --default-signal --block-signal={TERM,USR2,PIPE})
  equal "$(masks "${blocking[@]}")" "$(masks "${blocking[@]}" "${through[@]}" c --)"
  equal "$(masks env --default-signal)" "$(masks env --default-signal "${through[@]}" d --)"
}

@test "exit statuses are correct where SIGCHLD is ignored" {
  status=0
  env --ignore-signal=CHLD "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- sh -c 'exit 9' || status=$?
  equal 9 "$status"
}

@test "SIGPIPE has its default action in the command" {
  status=0
  env --default-signal "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- \
    bash -c 'yes | head -n 1; echo "${PIPESTATUS[0]}"' >out || status=$?
  equal $'y\n141' "$(<out)"
}

@test "background processes that have closed the command's output continue to run" {
  get -- sh -c 'sleep 60 >/dev/null 2>&1 & echo $!' >pid
  sleep 0.05
  ! is_gone "$(<pid)" || fail 'it was ended'
  kill "$(<pid)"
}

@test "orphans of the command do not accumulate while it runs" {
  spawn_get -- bash -c 'for i in {1..50}; do (sh -c "echo \$\$ >>orphans" &); done; exec held a true'
  caller=$!
  await test -e a.started
  none_left() { (($(wc -l <orphans) == 50)) && ! pgrep -r Z -P $caller >/dev/null; }
  await none_left
  release a
  finish_all
}

@test "limits and priority are inherited" {
  (
    ulimit -n 77
    equal 77 "$(get -- sh -c 'ulimit -n')"
  )
}

@test "a command that starts a PID namespace gets its output and status through, and its run ends" {
  unshare -p true 2>/dev/null || skip 'cannot create a namespace here'
  for verb in get once lock; do
    options=()
    [[ $verb == lock ]] || options=(--ttl 1h)
    [[ $verb == get ]] || options+=(--store "${MEMOLOCK_STORE-local}")
    # without a terminal, and with child processes
    spawn timeout 60 unshare -p "$MEMOLOCK_BIN" $verb --tag t --id $verb "${options[@]}" -- \
      sh -c 'sh -c "echo started"; echo $$; exit 3' >out
    finish $!
    equal "$verb 3" "$verb $status"
    equal $'started\n1' "$(<out)"
  done
  # and if the caller's shell has started the namespace, and has a child in it
  spawn timeout 60 unshare -p bash -c 'sleep 60 >/dev/null & echo $! >first; exec "$@"' - \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- sh -c 'echo ran; exit 4' >out
  finish $!
  also_end "$(<first)"
  equal 4 "$status"
  equal ran "$(<out)"
}
