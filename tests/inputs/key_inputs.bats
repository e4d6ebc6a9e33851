#!/usr/bin/env bats
# What an id is derived from: --key-file, --key-env, --key-cwd, --no-key-cwd, --key-stdin; and `key`.
# store: any

load ../helpers/common

# id OPTION…: the id derived from the given id x and the options.
id() { memolock key --id x "$@"; }

# folder NAME: makes a small tree of files.
folder() {
  mkdir -p "$1/deep/er"
  printf one >"$1/a"
  : >"$1/b"
  printf 'two\0words\n' >"$1/deep/c d"
  printf three >"$1/deep/er/.hidden"
  ln -s "../b" "$1/deep/link"
}

# differ COMMAND…: asserts that the command changes id "${options[@]}".
differ() {
  local before
  before=$(id "${options[@]}")
  "$@"
  [[ $before != "$(id "${options[@]}")" ]] || fail "the same id after: $*"
}

# ---- the scheme ----

@test "derived ids do not change between versions" {
  mkdir -p in/deep in/empty
  printf 'one\n' >in/a
  : >in/b
  printf two >'in/deep/c d'
  ln -s ../../outside in/link
  yes | head -c 2500000 >big
  # computed by another program that follows the same scheme
  equal x-c6c563e0311a5abc93e63027c9edf94b "$(printf 'piped\n' \
    | COLOUR=red id --key-env COLOUR --key-env GONE --key-file in --key-file big --key-stdin)"
  equal echo-466e4e714853642fb1b07a195d38351f "$(cd / && memolock key -- /bin/echo 'two words')"
}

@test "a given id alone is used unchanged" {
  equal x "$(id)"
  equal x "$(id -- some command)"
  equal x "$(id --no-key-cwd)"
}

@test "a refined id begins with the given id" {
  [[ $(id --key-cwd) =~ ^x-[0-9a-f]{32}$ ]]
  [[ $(memolock key --id 'a b:{c}/ü' --key-cwd) =~ ^'a b:{c}/ü-'[0-9a-f]{32}$ ]]
}

@test "a refined id is not longer than the maximum, and depends on the whole of a long given id" {
  long=$(printf 'x%.0s' {1..1023})
  one=$(memolock key --id "${long}1" --key-cwd)
  two=$(memolock key --id "${long}2" --key-cwd)
  equal 1024 ${#one}
  [[ $one != "$two" ]]
  memolock get --id "${long}1" --key-cwd --ttl 1h -- true
  equal "$one" "$(memolock ls | cut -f 2)"
  # 990 bytes and a two-byte character, which is not split
  [[ $(memolock key --id "${long::990}ü${long::30}" --key-cwd) =~ ^"${long::990}"-[0-9a-f]{32}$ ]]
}

# ---- files and directories ----

@test "the same content has the same id in another directory, at another time or created in another order" {
  folder one
  mkdir elsewhere
  (
    umask 077
    cd elsewhere
    mkdir -p two/deep/er
    ln -s "../b" two/deep/link
    printf three >two/deep/er/.hidden
    printf 'two\0words\n' >'two/deep/c d'
    : >two/b
    printf one >two/a
    find two -exec touch -h -d 2001-01-01 {} +
  )
  equal "$(id --key-file one)" "$(id --key-file elsewhere/two)"
  equal "$(id --key-file one)" "$(cd elsewhere && id --key-file "$PWD/two/")"
  equal "$(id --key-file one/a)" "$(id --key-file elsewhere/two/a)"
}

@test "the id does not depend on the order in which a file system lists a directory" {
  # a tmpfs lists the newest file first
  memory=$(mktemp -d -p /dev/shm) || skip 'no file system in memory'
  mkdir "$memory/one" "$memory/two"
  touch "$memory"/one/{a,b,c} "$memory"/two/{c,b,a}
  one=$(id --key-file "$memory/one")
  two=$(id --key-file "$memory/two")
  rm -r "$memory"
  equal "$one" "$two"
}

@test "the id of a directory of 3 000 levels depends on all of it, with a small stack and few descriptors" {
  ! is_sanitized || skip 'a sanitizer needs a stack of its own'
  scarce_id() { (ulimit -s 256 && ulimit -n 40 && id --key-file deep); }
  deep_tree deep 3000
  one=$(scarce_id)
  equal "$one" "$(scarce_id)"
  deep_tree deep 3000 other
  two=$(scarce_id)
  [[ $one =~ ^x-[0-9a-f]{32}$ && $two =~ ^x-[0-9a-f]{32}$ && $one != "$two" ]]
}

@test "the mode of a file is not part of the id" {
  folder in
  before=$(id --key-file in)
  chmod 755 in/a
  equal "$before" "$(id --key-file in)"
}

@test "a change of a content, name or path changes the id" {
  folder in
  options=(--key-file in)
  differ eval 'printf onf >in/a'
  differ eval 'printf "one " >in/a'
  differ mv in/b in/B
  differ mv in/B in/deep/B
  differ touch in/new
  differ rm in/new
  differ ln -s b in/new
  differ ln -sf c in/new
  differ eval 'rm in/new; printf c >in/new'
  differ mv in/deep/er in/deep/es
  printf 1 >file
  options=(--key-file file)
  differ eval 'printf 2 >file'
  differ eval ': >file'
  differ eval 'rm file; mkdir file; : >file/file'
}

@test "moving bytes between files, or between a name and a content, changes the id" {
  mkdir in
  printf ab >in/1
  printf c >in/2
  options=(--key-file in)
  differ eval 'printf a >in/1; printf bc >in/2'
  differ mv in/1 in/1a
  differ eval 'rm in/1a; printf "" >in/1a; printf abc >in/2'
  printf ab >first
  printf c >second
  options=(--key-file first --key-file second)
  differ eval 'printf a >first; printf bc >second'
}

@test "the order of two files is part of the id" {
  printf 1 >first
  printf 2 >second
  options=(--key-file first --key-file second)
  differ eval 'printf 2 >first; printf 1 >second'
  [[ $(id --key-file first) != "$(id --key-file first --key-file first)" ]]
}

@test "an empty subdirectory is not part of the id" {
  folder in
  before=$(id --key-file in)
  mkdir -p in/empty/too
  equal "$before" "$(id --key-file in)"
  mkdir nothing
  [[ $(id --key-file nothing) == x-* ]]
}

# bats test_tags=slow
@test "a change anywhere in a large file, and of its length, changes the id" {
  for size in 1048575 1048576 1048577 2097152 3145728 5000000; do
    head -c $size /dev/zero >"$size"
    options=(--key-file "$size")
    for at in 0 $((size / 2)) $((size - 1)); do
      differ eval "printf x | dd of=$size bs=1 seek=$at conv=notrunc status=none"
    done
    differ eval "printf x >>$size"
    differ truncate -s 1048570 "$size"
  done
  head -c 2097152 /dev/zero >one
  head -c 3145728 /dev/zero >two
  [[ $(id --key-file one) != "$(id --key-file two)" ]]
}

@test "the id is the same on one processor and on several" {
  mkdir in
  for i in {1..40}; do head -c 100000 /dev/zero | tr '\0' "\\$((100 + i))" >"in/$i"; done
  head -c 9000000 /dev/zero >in/large
  equal "$(taskset -c 0 "$MEMOLOCK_BIN" key --id x --key-file in)" "$(id --key-file in)"
}

@test "a symbolic link in a directory is not followed, a symbolic link on the command line is" {
  folder in
  mkdir outside
  printf secret >outside/file
  ln -s ../outside in/out
  ln -s "$PWD/outside/file" in/file
  ln -s nowhere in/dangling
  before=$(id --key-file in)
  printf changed >outside/file
  equal "$before" "$(id --key-file in)"
  ln -s in link
  equal "$before" "$(id --key-file link)"
  ln -s in/a to-a
  equal "$(id --key-file in/a)" "$(id --key-file to-a)"
}

@test "files whose size is not known in advance are read completely" {
  [[ $(stat -c %s /proc/self/environ) == 0 ]] || skip 'it is known here'
  [[ $(id --key-file /proc/self/environ) != "$(MORE=1 id --key-file /proc/self/environ)" ]]
  cat /proc/kallsyms >copy
  (($(stat -c %s copy) > 1048576)) || skip 'no large one here'
  equal "$(id --key-file copy)" "$(id --key-file /proc/kallsyms)"
}

@test "names that are not valid text are part of the id unchanged" {
  mkdir in
  printf 1 >$'in/\xff\n'
  options=(--key-file in)
  differ mv $'in/\xff\n' $'in/\xfe\n'
  run --separate-stderr -0 memolock key -v --id x --key-file in
  contains "$stderr" ' file in/\xfe\n'
}

@test "a missing file is an error that names it" {
  folder in
  refused "cannot read nowhere/file: No such file" memolock get --id x --ttl 1h --key-file nowhere/file -- counted true
  refused nowhere memolock key --id x --key-file in/a --key-file nowhere
  ln -s nowhere dangling
  refused dangling memolock key --id x --key-file dangling
  refused --key-file memolock key --id x --key-file=
  ran_times 0
}

@test "anything but a file or a directory is an error that names it" {
  folder in
  mkfifo in/deep/fifo
  refused in/deep/fifo memolock key --id x --key-file in
  refused in/deep/fifo memolock key --id x --key-file in/deep/fifo
  refused /dev/null memolock key --id x --key-file /dev/null
}

@test "an unreadable file or directory is an error that names it" {
  ((EUID != 0)) || command -v setpriv >/dev/null || skip 'needs setpriv'
  as_nobody() { if ((EUID == 0)); then XDG_CONFIG_HOME=/nowhere setpriv --reuid 65534 --clear-groups "$MEMOLOCK_BIN" "$@"; else memolock "$@"; fi; }
  run as_nobody --version
  ((status == 0)) || skip 'others cannot run memolock here'
  mkdir in
  cd in
  touch file
  mkdir folder
  chmod 0 file
  refused 'file: Permission denied' as_nobody key --id x --key-file file
  chmod 0 folder
  refused 'folder: Permission denied' as_nobody key --id x --key-file folder
}

# stopped_at_first_read OPTION…: `key` in the background, stopped when it first reads in/a. $! is the pid of strace.
stopped_at_first_read() {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  spawn env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -P "$(realpath in/a)" -e trace=pread64 \
    -e inject=pread64:signal=STOP:when=1 "$MEMOLOCK_BIN" key --id x "$@" 2>err
  await grep -q 'stopped by SIGSTOP' trace
  stopped=$(awk 'NR == 1 { print $1 }' trace)
}

@test "a file that changes while it is read is an error that names it" {
  mkdir in
  printf one >in/a
  stopped_at_first_read --key-file in
  printf two >>in/a
  kill -CONT "$stopped"
  finish $!
  equal 125 "$status"
  one_own_line "$(cat err)"
  contains "$(cat err)" 'in/a: it changed while it was read'
}

@test "a file that disappears before it is read is an error that names it" {
  mkdir in
  printf one >in/a
  printf two >in/b
  stopped_at_first_read --key-file in
  rm in/b
  kill -CONT "$stopped"
  finish $!
  equal 125 "$status"
  one_own_line "$(cat err)"
  contains "$(cat err)" 'in/b: No such file'
}

@test "a file that is replaced by a FIFO is an error, without a wait" {
  mkdir in
  printf one >in/a
  printf two >in/b
  stopped_at_first_read --key-file in
  rm in/b
  mkfifo in/b
  kill -CONT "$stopped"
  finish $!
  equal 125 "$status"
  contains "$(cat err)" 'in/b: it changed while it was read'
}

# ---- variables ----

@test "the value of a variable is part of the id" {
  export COLOUR=red
  options=(--key-env COLOUR)
  differ export COLOUR=green
  differ export COLOUR=
  differ unset COLOUR
  equal "$(id --key-env COLOUR)" "$(id --key-env COLOUR)"
}

@test "the name of a variable, and where it ends, is part of the id" {
  export A=1 B=1 AB='' BC=''
  [[ $(id --key-env A) != "$(id --key-env B)" ]]
  [[ $(A=BC id --key-env A) != "$(AB=C id --key-env AB)" ]]
}

@test "several variables are all part of the id, in any order" {
  export A=1 B=2
  equal "$(id --key-env A --key-env B)" "$(id --key-env B --key-env A --key-env B)"
  [[ $(id --key-env A --key-env B) != "$(id --key-env A)" ]]
  [[ $(id --key-env A --key-env B) != "$(A=2 B=1 id --key-env A --key-env B)" ]]
}

@test "the value of a variable is not shown" {
  export PASS=swordfish
  run --separate-stderr -0 memolock get -vv --id x --ttl 1h --key-env PASS -- true
  lacks "$output$stderr" swordfish
  run --separate-stderr -0 memolock key -vv --id x --key-env PASS
  lacks "$output$stderr" swordfish
  contains "$stderr" ' env PASS'
  lacks "$(memolock ls)" swordfish
}

@test "an invalid variable name is refused" {
  refused --key-env memolock key --id x --key-env A=1
  refused --key-env memolock key --id x --key-env=
}

# ---- the directory ----

@test "--key-cwd adds the directory to a given id, and --no-key-cwd removes it from a derived one" {
  mkdir one two
  both() { printf '%s\n' "$(cd one && memolock key "$@")" "$(cd two && memolock key "$@")" | sort -u | wc -l; }
  equal 1 "$(both --id x)"
  equal 2 "$(both --id x --key-cwd)"
  equal 2 "$(both -- ls)"
  equal 1 "$(both --no-key-cwd -- ls)"
  equal 2 "$(both --key-cwd -- ls)"
  # the last value of a flag is used
  equal 2 "$(both --no-key-cwd --no-key-cwd=0 --key-cwd -- ls)"
  equal 2 "$(both --no-key-cwd --no-key-cwd=0 -- ls)"
  equal 1 "$(both --key-cwd --key-cwd=0 --no-key-cwd -- ls)"
  equal "$(memolock key -- ls)" "$(memolock key --key-cwd -- ls)"
}

@test "a missing working directory is an error only if it is part of the id" {
  mkdir gone
  cd gone
  rmdir ../gone
  refused directory memolock key -- ls
  refused directory memolock key --id x --key-cwd
  [[ $(memolock key --no-key-cwd -- ls) == ls-* ]]
}

@test "--key-cwd and --no-key-cwd cannot be used together" {
  refused --no-key-cwd memolock key --id x --key-cwd --no-key-cwd
  MEMOLOCK_KEY_CWD=1 MEMOLOCK_NO_KEY_CWD=1 \
    refused '--key-cwd and --no-key-cwd cannot be used together (MEMOLOCK_KEY_CWD, MEMOLOCK_NO_KEY_CWD)' memolock key --id x
}

# ---- stdin ----

# fed: asserts that on a miss the command gets all of the file `input`.
fed() {
  get --key-stdin -- counted cat <input >got
  same_bytes input got
}

@test "the command gets all of stdin: nothing, a little, NULs, 20 MiB" {
  export TMPDIR=$PWD/temporary
  mkdir "$TMPDIR"
  : >input
  fed
  printf x >input
  fed
  printf 'a\0b\0\nc' >input
  fed
  head -c 20M /dev/urandom >input
  fed
  ran_times 4
  store_is_clean
  equal '' "$(ls -A "$TMPDIR")"
}

@test "on a hit stdin is read, the command does not run, and nothing is left behind" {
  export TMPDIR=$PWD/temporary
  mkdir "$TMPDIR"
  head -c 3M /dev/urandom >input
  fed
  fed
  get --key-stdin -- counted wc -c < <(cat input) | cmp - input
  ran_times 1
  equal 1 "$(memolock ls | wc -l)"
  store_is_clean
  equal '' "$(ls -A "$TMPDIR")"
}

@test "a different stdin changes the id, and so does --key-stdin with an empty stdin" {
  equal "$(id --key-stdin <<<one)" "$(printf 'one\n' | id --key-stdin)"
  [[ $(id --key-stdin <<<one) != "$(id --key-stdin <<<two)" ]]
  [[ $(id --key-stdin </dev/null) != "$(id)" ]]
  printf 1 >file
  [[ $(id --key-stdin <file) != "$(id --key-file file)" ]]
}

@test "stdin is read from its current position" {
  printf 'one\ntwo\n' >input
  run -0 bash -c 'read -r line; "$MEMOLOCK_BIN" get --id x --key-stdin --ttl 1h -- cat' <input
  equal two "$output"
}

@test "--key-stdin waits for input on a non-blocking stdin" {
  mkfifo fifo
  exec 6<>fifo
  # perl sets O_NONBLOCK on the open file that memolock then reads
  spawn perl -MFcntl -e 'fcntl(STDIN, F_SETFL, O_RDONLY | O_NONBLOCK); exec @ARGV' \
    "$MEMOLOCK_BIN" get --id x --key-stdin --ttl 1h -- cat <fifo >got 6>&-
  await is_asleep $!
  printf slow >&6
  exec 6>&-
  finish $!
  equal 0 "$status"
  equal slow "$(cat got)"
}

@test "stdin is stored in an unnamed file, not in memory" {
  contains "$(TMPDIR=$PWD get --key-stdin -- readlink /proc/self/fd/0 <<<text)" "$PWD/"
  ! is_sanitized || skip 'built with a sanitizer'
  ulimit -v 65536
  equal 209715200 "$(head -c 200M /dev/zero | get --key-stdin -- wc -c)"
}

@test "a closed stdin is an error only with --key-stdin" {
  closed='it is closed or open for writing only'
  refused "$closed" sh -c '"$MEMOLOCK_BIN" key --id x --key-stdin <&-'
  refused "$closed" sh -c '"$MEMOLOCK_BIN" get --id x --key-stdin --ttl 1h -- counted true 0>/dev/null'
  refused 'Is a directory' sh -c '"$MEMOLOCK_BIN" get --id x --key-stdin --ttl 1h -- counted true </'
  ran_times 0
  for verb in 'get --ttl 1h' lock 'once --store local --ttl 1h'; do
    run --separate-stderr -7 sh -c '"$MEMOLOCK_BIN" $1 --tag c --id "$1" -- counted sh -c "echo out; exit 7" <&-' - "$verb"
    equal out "$output"
    equal '' "$stderr"
  done
  ran_times 3
}

@test "with all three streams closed the command runs, and a result without lost output is stored" {
  run -0 sh -c '"$MEMOLOCK_BIN" get --tag t --id x --ttl 1h -- counted true <&- >&- 2>&-'
  run -0 get -- counted true
  ran_times 1
  run -125 sh -c '"$MEMOLOCK_BIN" get --tag t --id y --ttl 1h -- counted echo out <&- >&- 2>&-'
  equal out "$(memolock get --tag t --id y)"
  run -125 sh -c '"$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --key-stdin -- counted true <&- >&- 2>&-'
  ran_times 2
}

# nowhere COMMAND…: runs it where no temporary file can be created.
nowhere() { strace -qq -o trace -e trace=openat,memfd_create -e inject=openat,memfd_create:error=ENOENT "$@"; }

@test "if stdin does not fit into a temporary file, the error says where" {
  ! is_sanitized || skip 'a sanitizer opens files of its own'
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  refused 'a temporary file for stdin in TMPDIR, /tmp or memory: No such file or directory' \
    nowhere "$MEMOLOCK_BIN" key --id x --key-stdin <<<input
  small_disk size=16k
  refused 'copy stdin to a temporary file in TMPDIR or /tmp: No space left on device' \
    env TMPDIR="$PWD/small" "$MEMOLOCK_BIN" get --id x --ttl 1h --key-stdin -- counted true < <(head -c 100000 /dev/zero)
  ran_times 0
}

@test "a command that runs without the store gets stdin too: bypassed, with an unusable store, after --wait" {
  run -0 env MEMOLOCK_BYPASS=1 "$MEMOLOCK_BIN" get --id x --ttl 1h --key-stdin -- cat <<<bypassed
  equal bypassed "$output"
  : >file
  run -0 --separate-stderr memolock get --store "file://$PWD/file" --id "$RANDOM$$" --ttl 1h --key-stdin -- cat <<<storeless
  equal storeless "$output"
  spawn_get --key-stdin -- held a cat <<<same
  await test -e a.started
  run -0 get --key-stdin --wait 10ms --on-timeout run -- cat <<<same
  equal same "$output"
  release a
  finish_all
}

@test "the command that starts a promise gets stdin too" {
  run -0 --separate-stderr get --key-stdin --external -- sh -c 'cat >got; "$MEMOLOCK_BIN" set --ttl 1h got' <<<promised
  equal promised "$output"
}

@test "a background run gets stdin too" {
  stale() { memolock get --tag t --id x --key-stdin --stale 1h "$@" <<<late; }
  stale --ttl 1ms -- echo old
  await eval '[[ $(memolock ls | cut -f 3) == stale ]]'
  run -0 stale --ttl 1h -- cat
  equal old "$output"
  await eval '[[ $(stale) == late ]]'
}

@test "with a bypass nothing is read, neither a missing file nor stdin" {
  MEMOLOCK_BYPASS=1 run -0 memolock get --id x --key-file nowhere --ttl 1h -- echo output
  equal output "$output"
}

# where_none_is WORD…: runs memolock in a working directory that has been removed.
where_none_is() { (mkdir gone && cd gone && rmdir ../gone && exec "$MEMOLOCK_BIN" "$@"); }
# own_lines: the messages of memolock, without those of a shell about the directory.
own_lines() { grep '^memolock: ' <<<"$stderr"; }

@test "in a removed working directory the command runs, and its result is not stored" {
  for words in '' '--id x --key-cwd' '--key-stdin' "--store file://$PWD/other --on-store-error fail" '--wait 0'; do
    : >"$RUNS"
    for _ in 1 2; do
      # shellcheck disable=SC2086
      run --separate-stderr -3 where_none_is get --tag t --ttl 1h $words -- counted sh -c 'cat; exit 3' <<<input
      equal input "$output"
      equal 'memolock: cannot determine the working directory: No such file or directory; the result is not stored' "$(own_lines)"
    done
    ran_times 2
  done
  [[ ! -e other ]]
  store_is_empty
  run --separate-stderr -0 where_none_is get --tag t --ttl 1h -q -- true
  equal '' "$stderr"
  MEMOLOCK_BYPASS=1 run --separate-stderr -0 where_none_is get --tag t -- true
  equal '' "$stderr"
}

@test "in a removed working directory the id of an outer run is not passed on" {
  for bypass in 0 1; do
    export MEMOLOCK_BYPASS=$bypass
    # shellcheck disable=SC2016
    MEMOLOCK_RUN_TAG=t MEMOLOCK_RUN_ID=outer run --separate-stderr -125 where_none_is get -v --tag t --ttl 1h \
      --report "$PWD/report" -- sh -c 'echo "${MEMOLOCK_RUN_TAG-none} ${MEMOLOCK_RUN_ID-none}"
        unset MEMOLOCK_BYPASS; exec "$MEMOLOCK_BIN" set --ttl 1h <&2'
    equal 'none none' "$output"
    contains "$stderr" 'memolock: --id is required: this run has no id'
    contains "$stderr" 'memolock: t: the command exited with status 125'
    contains "$(tail -n 1 report)" '"tag":"t","id":null,'
  done
  store_is_empty
}

@test "in a removed working directory an id that does not depend on it works as usual" {
  for words in '--id x' '--no-key-cwd'; do
    : >"$RUNS"
    for _ in 1 2; do
      # shellcheck disable=SC2086
      run --separate-stderr -0 where_none_is get --tag t --ttl 1h $words -- counted true
      equal '' "$(own_lines)"
    done
    ran_times 1
  done
  run --separate-stderr -0 where_none_is lock --tag t --id y -- counted true
  run --separate-stderr -0 where_none_is once --store local --tag t --id y --ttl 1h -- counted true
  ran_times 3
}

@test "a call without the store, because its id is incomplete, does not check the settings of a server" {
  export MEMOLOCK_STORE=redis+unix://$PWD/nowhere MEMOLOCK_TLS_KEY=$PWD/key
  run --separate-stderr -0 where_none_is get --ttl 1h -- counted echo ran
  equal ran "$output"
  one_own_line "$(own_lines)"
  contains "$stderr" 'the result is not stored'
  ran_times 1
  refused '--tls-key requires --tls-cert' memolock get --id x --ttl 1h -- counted echo ran
  MEMOLOCK_BYPASS=1 memolock get --id x --ttl 1h -- counted true
  ran_times 2
}

@test "in a removed working directory verbs that require the id are refused" {
  refused 'working directory: No such file or directory; without --no-key-cwd' where_none_is key true
  refused 'it is part of the id' where_none_is get --id x --key-cwd
  refused 'it is part of the id' where_none_is get --external --ttl 1h -- counted true
  refused '--id is required' where_none_is lock -- counted true
  refused '--id is required' where_none_is once --store local --ttl 1h -- counted true
  ran_times 0
}

# ---- the entry ----

@test "key prints the id that get uses" {
  folder in
  cases=('--id x --key-file in' '--key-file in --key-env HOME' '--no-key-cwd' '--id x --key-cwd' '' '--key-stdin')
  for i in "${!cases[@]}"; do
    read -ra options <<<"${cases[i]}"
    key=$(memolock key --tag "t$i" --ttl 1h --store local "${options[@]}" -- echo "$i" <<<input)
    memolock get --tag "t$i" --ttl 1h "${options[@]}" -- echo "$i" <<<input >/dev/null
    equal "t$i	$key" "$(memolock ls --tag "t$i" | cut -f 1,2)"
    equal 1 "$(memolock del --tag "t$i" --id "$key")"
  done
}

@test "key runs no command and opens no store" {
  run -0 memolock key --ttl 1h -- counted true
  ran_times 0
  store_is_untouched
}

@test "key -v shows what the id is derived from, one line for each part" {
  folder in
  run --separate-stderr -0 memolock key -v --key-env HOME --key-env GONE --key-file in --key-stdin -- ls -l <<<input
  [[ $output =~ ^ls-[0-9a-f]{32}$ ]]
  lines=('word 1' 'word 2' "directory $PWD" 'unset GONE' 'env HOME' 'folder in' 'file in/a' 'file in/b' 'file in/deep/c d'
    'file in/deep/er/.hidden' 'link in/deep/link' 'stdin -')
  equal "$(printf '%s\n' "${lines[@]}")" "$(sed -E 's/^memolock: [0-9a-f]{64} //' <<<"$stderr")"
}

@test "key -v shows the difference between two ids" {
  folder one
  folder two
  printf changed >two/deep/er/.hidden
  memolock key -v --id x --key-file one 2>one.parts >id
  memolock key -v --id x --key-file two 2>two.parts >id
  sed -i 's/ one/ two/' one.parts
  equal 'file two/deep/er/.hidden' "$(diff one.parts two.parts | grep '^>.* file ' | cut -d ' ' -f 4-)"
}

@test "key requires an id or a command" {
  refused --id memolock key
  refused --id memolock key --key-file /
}

@test "unchanged content is a hit, changed content is a miss" {
  folder in
  get --key-file in -- counted true
  get --key-file in -- counted true
  ran_times 1
  printf changed >in/a
  get --key-file in -- counted true
  ran_times 2
}

@test "a look-up finds an entry by the inputs of its id" {
  printf 1 >file
  get --key-file file --key-env HOME --key-stdin -- echo output <<<input
  run -0 get --key-file file --key-env HOME --key-stdin <<<input
  equal output "$output"
  printf 2 >file
  run -1 get --key-file file --key-env HOME --key-stdin <<<input
}

@test "the command gets the derived id" {
  run -0 get --key-cwd -- printenv MEMOLOCK_RUN_ID
  equal "$(id --key-cwd)" "$output"
}

# ---- other sources of the options ----

@test "variables set the options" {
  printf 1 >file
  equal "$(id --key-file file)" "$(MEMOLOCK_KEY_FILE='file' id)"
  equal "$(id --key-env HOME)" "$(MEMOLOCK_KEY_ENV=HOME id)"
  equal "$(id --key-cwd)" "$(MEMOLOCK_KEY_CWD=1 id)"
  equal "$(id --key-stdin <file)" "$(MEMOLOCK_KEY_STDIN=1 id <file)"
  equal "$(memolock key --no-key-cwd -- ls)" "$(MEMOLOCK_NO_KEY_CWD=1 memolock key -- ls)"
  equal "$(id)" "$(MEMOLOCK_KEY_STDIN=0 MEMOLOCK_KEY_CWD=0 MEMOLOCK_KEY_FILE='' id)"
}

@test "an array in the configuration file sets an option several times" {
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  printf 1 >file
  printf '%s\n' 'key-file = ["file", "file"]' 'key-env = "HOME"' >"$XDG_CONFIG_HOME/memolock/config.toml"
  given=$(id)
  rm "$XDG_CONFIG_HOME/memolock/config.toml"
  equal "$given" "$(id --key-file file --key-file file --key-env HOME)"
  printf '%s\n' 'key-file = [["file"]]' >"$XDG_CONFIG_HOME/memolock/config.toml"
  refused key-file memolock key --id x
}

@test "the command line overrides other sources of --key-cwd and --no-key-cwd" {
  equal "$(id --key-cwd)" "$(MEMOLOCK_NO_KEY_CWD=1 id --key-cwd)"
  equal "$(memolock key --no-key-cwd -- ls)" "$(MEMOLOCK_KEY_CWD=1 memolock key --no-key-cwd -- ls)"
}
