#!/usr/bin/env bats
# --artifact: files that the command creates, stored with the entry and restored.

load ../helpers/common

# make_out: the command of most tests here. Makes a directory "out" with one file of each kind.
make_out() {
  cat >make_out <<'END'
#!/bin/sh
mkdir -p out/sub/deep out/empty
echo first >out/a
echo second >'out/sub/b c'
: >out/nothing
printf 'x' >out/sub/deep/x
ln -sf a out/link
ln -sf /nowhere/at/all out/sub/dangling
chmod 750 out/a
chmod 500 out/sub/deep
echo made
echo noise >&2
END
  chmod +x make_out
}

# listing DIRECTORY: the kinds, modes, names, targets and contents of all files in it, without times.
listing() {
  (cd "$1" && find . -printf '%y %m %p %l\n' | sort && find . -type f -print0 | sort -z | xargs -0r cksum)
}

# drop FOLDER
drop() { chmod -R u+rwx "$1" && rm -r "$1"; }

# get_out OPTION…: `get` with the artifact out, which make_out creates.
get_out() { get --artifact out "$@" -- counted ./make_out; }

setup() {
  isolate
  use_store
  make_out
}

@test "a hit restores a directory with its modes, links, empty files and empty directories" {
  get_out >1.out 2>1.err
  listing out >1.list
  drop out
  get_out >2.out 2>2.err
  listing out >2.list
  same_bytes 1.list 2.list
  same_bytes 1.out 2.out
  same_bytes 1.err 2.err
  ran_times 1
  store_is_clean
}

@test "a hit restores a file and creates its parent directories" {
  get --artifact deep/er/file -- counted sh -c 'mkdir -p deep/er; echo 1 >deep/er/file'
  rm -r deep
  get --artifact deep/er/file -- counted false
  equal 1 "$(<deep/er/file)"
  ran_times 1
}

@test "a file can be given by its absolute path" {
  get --artifact "$PWD/abs" -- counted sh -c 'echo 1 >abs'
  rm abs
  mkdir elsewhere
  (cd elsewhere && get --artifact "$OLDPWD/abs" -- counted false)
  equal 1 "$(<abs)"
  [[ ! -e elsewhere/abs ]]
}

@test "a relative path is relative to the caller's working directory" {
  get_out >/dev/null 2>&1
  mkdir elsewhere
  (cd elsewhere && get --artifact out -- counted false) >/dev/null 2>&1
  equal first "$(<elsewhere/out/a)"
  ran_times 1
}

@test "restored files are newer than their inputs" {
  echo in >input
  get_out >/dev/null 2>&1
  for _ in 1 2 3; do
    drop out
    touch input
    get_out >/dev/null 2>&1
    [[ ! input -nt out/a && ! input -nt out && ! input -nt out/sub/deep/x ]] || fail 'the input is newer'
    equal 1 "$(find out -type f -printf '%T@\n' | sort -u | wc -l)"
  done
  ran_times 1
}

@test "a target that a hit has restored is up to date for make" {
  printf 'out/a: input\n\t@"%s" get --tag t --id x --ttl 1h --artifact out -- counted ./make_out\n' "$MEMOLOCK_BIN" >Makefile
  echo in >input
  make >/dev/null 2>&1
  drop out
  make >/dev/null 2>&1
  run -0 make -q
  touch_after input out/a
  run -1 make -q
  make >/dev/null 2>&1
  run -0 make -q
  ran_times 1
}

@test "a restore replaces files of the same names and leaves other files in the directory alone" {
  get_out >/dev/null 2>&1
  echo mine >out/other
  echo changed >out/a
  rm out/link && mkdir other && ln -s "$PWD/other" out/link
  get_out >/dev/null 2>&1
  equal mine "$(<out/other)"
  equal first "$(<out/a)"
  equal a "$(readlink out/link)"
  equal '' "$(ls other)"
  ran_times 1
}

@test "names of any bytes are restored" {
  cat >strange <<'END'
#!/bin/bash
mkdir -p out/$'a\nb' out/' '
echo 1 >out/$'a\nb'/$'\xff\xfe'
echo 2 >out/' '/$'\t*?"'
echo 3 >out/-n
echo 4 >"out/$(printf 'n%.0s' {1..250})"
ln -s $'to\n\xff' out/l
END
  chmod +x strange
  get --artifact out -- ./strange
  listing out >1.list
  rm -r out
  get --artifact out -- false
  listing out >2.list
  same_bytes 1.list 2.list
}

@test "a path can contain spaces, newlines and other bytes" {
  name=$'odd \n\xff name'
  get --artifact "$name" -- sh -c 'echo 1 >"$1"' sh "$name"
  rm "$name"
  get --artifact "$name" -- false
  equal 1 "$(cat "$name")"
}

# bats test_tags=slow
@test "a directory of 2 000 files is restored" {
  get --artifact out -- sh -c 'mkdir out; seq 2000 | (cd out; split -l 1 -a 4 -d)'
  listing out >1.list
  rm -r out
  get --artifact out -- false
  listing out >2.list
  same_bytes 1.list 2.list
  equal 2001 "$(find out | wc -l)"
}

@test "a large file with holes is restored" {
  get --max-entry 1GiB --artifact big -- sh -c 'truncate -s 200M big; echo end >>big; seq 300000 | dd of=big bs=1M seek=50 conv=notrunc status=none'
  cksum big >1.sum
  rm big
  get --max-entry 1GiB --artifact big -- false
  cksum big >2.sum
  same_bytes 1.sum 2.sum
  (($(du -k big | cut -f 1) < 20000)) || fail 'its holes are filled'
}

@test "a path given twice, and paths inside each other, are restored" {
  args=(--artifact out --artifact out/a --artifact out --artifact out/sub)
  get "${args[@]}" -- counted ./make_out >/dev/null 2>&1
  listing out >1.list
  drop out
  get "${args[@]}" -- counted false >/dev/null 2>&1
  listing out >2.list
  same_bytes 1.list 2.list
  ran_times 1
}

@test "set-user-ID bits are dropped" {
  get --artifact f -- sh -c 'echo 1 >f; chmod 6755 f'
  rm f
  get --artifact f -- false
  equal 755 "$(stat -c %a f)"
}

# bats test_tags=slow
@test "the same files give the same bytes" {
  get_out >/dev/null 2>&1
  first=$(memolock ls | cut -f 6)
  archive >1.archive
  sleep 1.1
  drop out
  get_out --refresh >/dev/null 2>&1
  archive >2.archive
  ran_times 2
  same_bytes 1.archive 2.archive
  ((first > 0))
}

# archive: the artifacts of the entry as they are stored.
archive() {
  if on_redis; then
    redis --raw get t/files:x | head -c -1
  else
    tail -c +"$(grep -abo $'\x28\xb5\x2f\xfd' "$MEMOLOCK_CACHE_DIR/t/x.entry" | head -n 1 | cut -d : -f 1)" "$MEMOLOCK_CACHE_DIR/t/x.entry" | tail -c +2
  fi
}

# ---- callers with and without --artifact ----

@test "callers without --artifact get the output and no files" {
  get_out >/dev/null 2>&1
  drop out
  run -0 --separate-stderr get -- counted false
  equal made "$output"
  [[ ! -e out ]]
  ran_times 1
}

@test "a caller can ask for some of the paths" {
  get --artifact out --artifact two -- sh -c './make_out; echo 2 >two' >/dev/null 2>&1
  drop out
  rm two
  get --artifact two -- false >/dev/null 2>&1
  [[ -e two && ! -e out ]]
}

@test "an entry without a requested path is a miss" {
  get -- counted ./make_out >/dev/null 2>&1
  get_out >/dev/null 2>&1
  ran_times 2
  get --artifact out --artifact out/a -- counted ./make_out >/dev/null 2>&1
  ran_times 3
  run -1 memolock get --tag t --id x --artifact third
  run -0 memolock get --tag t --id x --artifact out/a
}

@test "a holder without --artifact stores an entry without artifacts" {
  get_out >/dev/null 2>&1
  get --refresh -- counted ./make_out >/dev/null 2>&1
  run -1 memolock get --tag t --id x --artifact out
}

@test "waiters restore what the holder's command created" {
  mkdir 1 2 3
  (
    cd 1 && spawn_get --artifact out -- counted held "$OLDPWD/a" ../make_out >out.1 2>&1
    echo $! >pid
  )
  await test -e a.started
  for i in 2 3; do
    (
      cd $i && spawn_get --artifact out -- counted false >out.$i 2>&1
      echo $! >pid
    )
    await is_waiting "$(<$i/pid)"
  done
  release a
  for i in 1 2 3; do await is_gone "$(<$i/pid)"; done
  for i in 2 3; do
    equal first "$(<$i/out/a)"
    same_bytes 1/out/sub/deep/x $i/out/sub/deep/x
  done
  ran_times 1
  store_is_clean
}

@test "waiters restore the artifacts of a run that is not stored" {
  mkdir 1 2
  (
    cd 1 && spawn_get --ttl 0 --artifact out -- counted held "$OLDPWD/a" ../make_out >out.1 2>&1
    echo $! >pid
  )
  await test -e a.started
  (
    cd 2 && spawn_get --ttl 0 --artifact out -- counted false >out.2 2>&1
    echo $! >pid
  )
  await is_waiting "$(<2/pid)"
  release a
  for i in 1 2; do await is_gone "$(<$i/pid)"; done
  equal first "$(<2/out/a)"
  ran_times 1
  run -1 memolock get --tag t --id x
}

@test "a waiter with --artifact runs the command when the holder packs nothing" {
  spawn_get -- counted held a true
  await test -e a.started
  spawn_get --artifact out -- counted ./make_out >2.out 2>&1
  await is_waiting $!
  release a
  finish_all
  ran_times 2
  run -0 memolock get --tag t --id x --artifact out
}

@test "a stale entry is served with its files, and the background run packs new ones" {
  export N=1
  versioned() { get --stale 1h --artifact f "$@" -- counted sh -c 'echo $N >f; echo $N'; }
  run -0 versioned --ttl 1ms
  rm f
  mkdir elsewhere
  cd elsewhere || return
  N=2
  run -0 versioned --ttl 1h
  equal 1 "$output"
  is_refreshed() { [[ $(memolock get --tag t --id x) == 2 ]]; }
  await is_refreshed
  cd ..
  run -0 memolock get --tag t --id x --artifact f
  equal 2 "$(<f)"
  ran_times 2
}

@test "the old entry that --stale-if-error serves restores its files" {
  get --ttl 1ms --stale-if-error 1h --artifact f -- sh -c 'echo 1 >f; echo good'
  rm f
  run -0 --separate-stderr get --ttl 1ms --stale-if-error 1h --artifact f -- sh -c 'echo bad; exit 3'
  equal good "$output"
  equal 1 "$(<f)"
}

# ---- artifacts that are not packed ----

# bats test_tags=slow
@test "a failed run packs nothing" {
  run -3 get --cache-failures 1h --artifact out -- counted sh -c './make_out; exit 3'
  drop out
  run -3 get --cache-failures 1h --artifact out -- counted ./make_out
  [[ ! -e out ]]
  ran_times 1
  ! on_redis || equal 0 "$(redis exists t/files:x)"
}

@test "a path that the command did not create is reported, and nothing is stored" {
  for missing in nothing none/such make_out/x; do
    run -0 --separate-stderr get --artifact out --artifact $missing -- ./make_out
    equal made "$output"
    contains "$stderr" "memolock: t:x: not stored: the command did not create $missing"
    run -1 memolock get --tag t --id x
  done
  store_is_clean
}

@test "if the holder's command did not create a path, waiters run the command immediately" {
  mkdir 1 2 3
  (
    cd 1 && spawn_get --artifact f -- counted held ../a true 2>err
    echo $! >pid
  )
  await test -e a.started
  for i in 2 3; do
    (
      cd $i && spawn_get --artifact f -- counted held ../b sh -c 'echo 1 >f'
      echo $! >pid
    )
    await is_waiting "$(<$i/pid)"
  done
  release a
  await ran 3
  release b
  for i in 1 2 3; do await is_gone "$(<$i/pid)"; done
  [[ -e 2/f && -e 3/f ]]
  store_is_clean
}

@test "anything but a file, a directory or a link is reported, and nothing is stored" {
  run -0 --separate-stderr get --artifact out -- sh -c './make_out; mkfifo out/sub/pipe'
  contains "$stderr" 'not stored: out/sub/pipe is neither a file, a directory nor a symbolic link'
  run -1 memolock get --tag t --id x
}

@test "a symbolic link is refused as a path, and followed if the path ends in a slash" {
  mkdir real
  ln -s real out
  run -0 --separate-stderr get --artifact out -- ./make_out
  contains "$stderr" 'not stored: out is a symbolic link; to store the directory that it refers to, write out/'
  run -0 --separate-stderr get --artifact out/ -- ./make_out
  equal noise "$stderr"
  drop real
  mkdir real
  get --artifact out/ -- false >/dev/null 2>&1
  equal first "$(<real/a)"
  equal real "$(readlink out)"
}

@test "streams and artifacts together must not exceed --max-entry" {
  run -0 --separate-stderr get --max-entry 3000 --artifact f -- sh -c 'seq 300; head -c 2000 /dev/urandom >f'
  contains "$stderr" 'not stored: the output and the artifacts are larger than --max-entry (2.9 KiB)'
  run -1 memolock get --tag t --id x
  run -0 get --max-entry 3000 --artifact f -- sh -c 'seq 100; head -c 1500 /dev/urandom >f'
  run -0 memolock get --tag t --id x
  store_is_clean
}

@test "--artifact and --external cannot be used together" {
  refused external memolock get --tag t --id x --ttl 1h --external --artifact f -- true
}

@test "an empty path is refused" {
  refused --artifact memolock get --tag t --id x --ttl 1h --artifact= -- true
}

# ---- damaged and hostile archives ----

# plant ARCHIVE: replaces the artifacts of the entry with it.
plant() {
  if on_redis; then
    read -r length hash <<<"$("$HELPERS/plant" "$1")"
    redis -x set t/files:x <"$1" >/dev/null
    redis hset t/meta:x files_length "$length" files_hash "$hash" >/dev/null
  else
    "$HELPERS/plant" "$1" "$MEMOLOCK_CACHE_DIR/t/x.entry"
  fi
}

# spoil: changes a byte of the archive.
spoil() {
  if on_redis; then
    redis setrange t/files:x 20 '~~' >/dev/null
  else
    printf '~~' | dd of="$MEMOLOCK_CACHE_DIR/t/x.entry" bs=1 conv=notrunc status=none \
      seek=$(($(stat -c %s "$MEMOLOCK_CACHE_DIR/t/x.entry") - 20))
  fi
}

@test "an entry with a damaged archive is a miss only for callers that ask for files" {
  get_out >/dev/null 2>&1
  spoil
  run -0 memolock get --tag t --id x
  run -1 memolock get --tag t --id x --artifact out
  get_out >/dev/null 2>&1
  ran_times 2
}

# hostile ARCHIVE WORDS [OPTION…]: asserts that the archive is a miss for the reason in WORDS, and that nothing of it
# is in the working directory when the command runs.
hostile() {
  plant "$1"
  [[ ! -e out ]] || drop out
  : >before
  : >after
  local list="find . ! -path './store*' ! -name 'separate-stderr*' | sort"
  eval "$list" >before
  run -0 --separate-stderr memolock get -v --tag t --id x --ttl 1h --on-store-error fail --artifact out "${@:3}" -- \
    sh -c "$list >after; exec ./make_out"
  equal made "$output"
  contains "$stderr" "$2"
  contains "$stderr" 'treated as a miss'
  same_bytes before after
  [[ ! -e evil && ! -e elsewhere/evil ]]
}

# crafted NAME…: makes an archive of files with these names.
crafted() {
  rm -rf craft && mkdir craft
  echo evil >craft/f
  (cd craft && for name in "$@"; do tar -rPf ../evil.tar --format=gnu --transform "s|^f$|$name|" f; done)
}

# bats test_tags=slow
@test "names that lead out of the directory are refused" {
  mkdir elsewhere
  get_out >/dev/null 2>&1
  for name in 0/../evil ../evil /evil "$PWD/evil" 0/sub/../../evil 0//x 0/./x 0x ''; do
    rm -f evil.tar
    crafted "$name"
    hostile evil.tar ''
  done
}

@test "no link in the archive is followed" {
  mkdir elsewhere
  get_out >/dev/null 2>&1
  mkdir -p craft/0
  ln -s "$PWD/elsewhere" craft/0/link
  (cd craft && tar --format=gnu -cf ../evil.tar 0 && rm 0/link && mkdir 0/link && echo evil >0/link/evil \
    && tar --format=gnu -rf ../evil.tar 0/link/evil)
  hostile evil.tar '0/link/evil does not follow its directory'
  (cd craft && rm -r 0/link && ln -s "$PWD/../elsewhere" 0/link && tar --format=gnu -cf ../evil.tar 0 && rm 0/link \
    && mkdir 0/link && echo evil >0/link/evil && tar --format=gnu -rf ../evil.tar 0/link)
  plant evil.tar
  drop out
  run -125 --separate-stderr memolock get --tag t --id x --ttl 1h --on-store-error fail --artifact out -- false
  one_own_line "$stderr"
  contains "$stderr" 'cannot restore out/link'
  [[ ! -e out && ! -e elsewhere/evil ]]
  rm -r craft evil.tar
  mkdir craft
  ln -s "$PWD/elsewhere" craft/0
  (cd craft && tar --format=gnu -cf ../evil.tar 0)
  hostile evil.tar 'a symbolic link in place of out'
}

@test "hard links, devices and anything but an archive are refused" {
  get_out >/dev/null 2>&1
  mkdir -p craft/0 elsewhere
  echo 1 >craft/0/f
  ln craft/0/f craft/0/g
  (cd craft && tar --format=gnu -cf ../evil.tar 0)
  hostile evil.tar 'neither a file, a directory nor a symbolic link'
  rm craft/0/g
  mkfifo craft/0/g
  (cd craft && tar --format=gnu -cf ../evil.tar 0)
  hostile evil.tar 'neither a file, a directory nor a symbolic link'
  head -c 5000 /dev/urandom >evil.tar
  hostile evil.tar 'the stored artifacts are damaged'
}

@test "an archive that is truncated, or reports a wrong size, is refused, and no partial file is left" {
  mkdir elsewhere
  get_out >/dev/null 2>&1
  mkdir -p craft/0
  seq 100000 >craft/0/f
  (cd craft && tar --format=gnu -cf ../whole.tar 0)
  head -c 300000 whole.tar >evil.tar
  hostile evil.tar 'the stored artifacts are damaged'
  [[ ! -e out/f ]]
  equal '' "$(find . -name '.memolock-*')"
  # only the header of a directory: the requested file is missing
  head -c 512 /dev/zero >evil.tar
  hostile evil.tar 'out is missing'
}

# unpacks_to COMMAND…: the directory craft/0, which COMMAND fills, becomes evil.tar.
unpacks_to() {
  rm -rf craft && mkdir -p craft/0
  (cd craft/0 && "$@")
  (cd craft && tar --format=gnu --sparse -cf ../evil.tar --zstd 0)
}

@test "an archive that unpacks to more than --max-entry is a miss, and no file of it is left" {
  get_out >/dev/null 2>&1
  local files='echo 1 >a; mkdir deep; echo 2 >deep/b'
  unpacks_to sh -c "$files; truncate -s 1T large"
  hostile evil.tar 'larger than --max-entry'
  unpacks_to sh -c "$files; head -c 3000000 /dev/zero >large"
  hostile evil.tar 'larger than --max-entry' --max-entry 2MB
  unpacks_to sh -c 'seq 5000 | split -l 1 -a 4 -d'
  hostile evil.tar 'larger than --max-entry' --max-entry 2MB
  # files that were not requested are included in the size
  unpacks_to sh -c "$files"
  (cd craft && truncate -s 1T 1 && tar --format=gnu --sparse -cf ../evil.tar --zstd 0 1)
  hostile evil.tar 'larger than --max-entry'
}

# packs_in_order NAME…: makes evil.tar of these members of the directory craft; directories without their contents.
packs_in_order() { (cd craft && tar --format=gnu -P --no-recursion -cf ../evil.tar "$@"); }

@test "a refused archive leaves the caller's files, links and modes unchanged" {
  get_out >/dev/null 2>&1
  mkdir -p craft/0/sub craft/0/link craft/0/new
  echo evil >craft/evil
  packs_in_order --transform 's|^evil$|0/../evil|' 0/ 0/sub/ 0/new/ 0/link/ evil
  plant evil.tar
  drop out
  mkdir out
  echo mine >out/sub
  ln -s nowhere out/link
  chmod 500 out
  listing out >1.list
  run -0 --separate-stderr memolock get -v --tag t --id x --ttl 1h --on-store-error fail --artifact out -- \
    bash -c "$(declare -f listing); listing out >2.list; drop() { chmod -R u+rwx out && rm -r out; }; drop; ./make_out"
  contains "$stderr" 'a path that leads out of its directory'
  same_bytes 1.list 2.list
}

@test "a directory replaces a file, a link or a read-only directory" {
  get_out >/dev/null 2>&1
  listing out >1.list
  drop out
  mkdir -p out/sub
  echo mine >out/empty
  ln -s nowhere out/sub/deep
  chmod 500 out out/sub
  get_out >/dev/null 2>&1
  listing out >2.list
  same_bytes 1.list 2.list
  ran_times 1
}

@test "members that do not directly follow their directory are refused" {
  get_out >/dev/null 2>&1
  mkdir -p craft/0/a craft/0/b
  touch craft/0/a/f craft/0/b/f craft/0/a/g
  packs_in_order 0/ 0/a/ 0/a/f 0/b/ 0/b/f 0/a/g
  hostile evil.tar '0/a/g does not follow its directory'
  packs_in_order 0/ 0/a/f
  hostile evil.tar '0/a/f does not follow its directory'
  packs_in_order 0/a/
  hostile evil.tar '0/a/ does not follow its directory'
}

@test "directories more than 64 deep are neither stored nor restored" {
  get_out >/dev/null 2>&1
  nested() { printf 'd/%.0s' $(seq "$1"); }
  unpacks_to mkdir -p "$(nested 64)"
  hostile evil.tar 'the stored artifacts have directories more than 64 deep'
  for id in 64 65; do
    rm -rf deep
    run -0 --separate-stderr memolock get --tag t --id $id --ttl 1h --artifact deep -- mkdir -p "deep/$(nested $((id - 1)))"
  done
  contains "$stderr" 'not stored: the artifacts have directories more than 64 deep'
  rm -r deep
  run -1 memolock get --tag t --id 65 --artifact deep
  run -0 memolock get --tag t --id 64 --artifact deep
  [[ -d deep/$(nested 63) ]]
}

@test "with little stack and few descriptors 64 directories are stored and restored, and 3 000 are not stored" {
  ! is_sanitized || skip 'a sanitizer needs a stack of its own'
  scarce() { (ulimit -s 256 && ulimit -n "${descriptors-40}" && exec "$MEMOLOCK_BIN" get --tag t --ttl 1h "$@"); }
  nested() { printf 'd/%.0s' $(seq "$1"); }
  small_tree() { mkdir -p "$1/e" "$1/c" && echo text >"$1/f" && echo other >"$1/../g"; }
  scarce --id 64 --artifact d -- bash -c "$(declare -f small_tree); small_tree $(nested 63)"
  listing d >1.list
  for descriptors in 40 24; do
    rm -r d
    scarce --id 64 --artifact d -- counted false
    listing d >2.list
    same_bytes 1.list 2.list
  done
  ran_times 0
  run -0 --separate-stderr scarce --id 3000 --artifact deep -- \
    bash -c "$(declare -f deep_tree); deep_tree deep 3000; echo output"
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" 'not stored: the artifacts have directories more than 64 deep'
}

# repeated TIMES_DOUBLED NAME…: evil.tar.zst of these members of the directory craft, the last of them 2^TIMES_DOUBLED times.
repeated() {
  tar -C craft --format=gnu --no-recursion -cf members "${@:2}"
  head -c $((512 * ($# - 2))) members >evil.tar
  tail -c +$((512 * ($# - 2) + 1)) members | head -c 512 >member
  for _ in $(seq "$1"); do cat member member >twice && mv twice member; done
  cat evil.tar member | zstd -q >evil.tar.zst
  rm members member
}

# bats test_tags=slow
@test "an archive of more than 250 000 members is a miss" {
  get_out >/dev/null 2>&1
  mkdir craft && touch craft/7
  repeated 18 7
  hostile evil.tar.zst 'the stored artifacts have more than 250000 files' --max-entry 1GiB
}

# bats test_tags=slow
@test "many nested directories need little memory, and each is opened only a few times" {
  get_out >/dev/null 2>&1
  local way=(0)
  # 48 directories with names of one byte: the whole path fits into a header
  for _ in {1..48}; do way+=("${way[-1]}/d"); done
  mkdir -p "craft/${way[-1]}"
  repeated 15 "${way[@]}"
  plant evil.tar.zst
  drop out
  run -0 bash -c "ulimit -v 60000; exec $MEMOLOCK_BIN get --tag t --id x --ttl 1h --on-store-error fail --artifact out -- false"
  [[ -d out${way[-1]#0} ]]
  drop out
  strace -f -qq --seccomp-bpf -e trace=openat -o calls "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --artifact out -- false
  (($(wc -l <calls) < 200000)) || fail "$(wc -l <calls) calls"
}

@test "if memory runs out while a file is packed, the entry is not stored, and the file is named" {
  ! is_sanitized || skip 'a sanitizer reserves memory of its own'
  # The limit at which exactly the compression fails depends on the build.
  for ((limit = 6000; limit < 60000; limit += 500)); do
    run bash -c "ulimit -v $limit; exec $MEMOLOCK_BIN get -v --tag t --id x$limit --ttl 1h --artifact 'a file' -- tee 'a file'" \
      </dev/null
    [[ $output != *'not stored: cannot pack a file'* ]] || return 0
  done
  fail "the last output: $output"
}

@test "an archive that requires a gibibyte of memory is a miss" {
  get_out >/dev/null 2>&1
  # a zstd frame with a window of 2 GiB, and an empty block
  printf '\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00' >evil.tar
  hostile evil.tar 'the stored artifacts are damaged'
}

@test "artifacts that would unpack to more than --max-entry are not stored" {
  run -0 --separate-stderr get --max-entry 1MiB --artifact big -- counted truncate -s 2M big
  contains "$stderr" 'not stored: the output and the artifacts are larger than --max-entry (1.0 MiB)'
  run -1 memolock get --tag t --id x --artifact big
  run -0 --separate-stderr get --max-entry 3MiB --artifact big -- counted truncate -s 2M big
  run -0 memolock get --tag t --id x --artifact big
  run -1 memolock get -v --tag t --id x --artifact big --max-entry 1MiB
  contains "$output" 'larger than --max-entry'
  ran_times 2
}

@test "an entry that is larger than --max-entry is a miss" {
  get -- counted head -c 200000 /dev/zero >/dev/null
  for size in 10 100KB; do
    run -1 memolock get -v --tag t --id x --max-entry "$size"
    contains "$output" 't:x: the entry is larger than --max-entry'
    contains "$output" 'treated as a miss'
  done
  equal 200000 "$(memolock get --tag t --id x --max-entry 200000 | wc -c)"
  get --max-entry 100KB -- counted echo small
  equal small "$(memolock get --tag t --id x)"
  ran_times 2
}

@test "a link in the caller's directory that replaces a directory is not followed" {
  get_out >/dev/null 2>&1
  drop out
  mkdir elsewhere
  ln -s elsewhere out
  run -125 --separate-stderr memolock get --tag t --id x --ttl 1h --on-store-error fail --artifact out -- false
  contains "$stderr" 'cannot restore out'
  equal '' "$(ls elsewhere)"
  rm out
  mkdir out
  ln -s ../elsewhere out/sub
  get_out >/dev/null 2>&1
  equal '' "$(ls elsewhere)"
  [[ -d out/sub/deep && ! -L out/sub ]]
  ran_times 1
}

@test "if a path cannot be restored, a warning says why and the command runs" {
  get --artifact f -- counted sh -c 'echo 1 >f; echo made'
  rm f
  mkdir f
  run -0 --separate-stderr get --artifact f -- counted echo again
  equal again "$output"
  contains "$stderr" 'memolock: cannot restore f: Is a directory; running the command without the store'
  run -125 get --on-store-error fail --artifact f -- counted echo again
  run -1 memolock get --tag t --id x --artifact f
  equal '' "$(find . -name '.memolock-*')"
}

@test "a full disk leaves no partial or temporary file" {
  get --artifact f -- sh -c 'yes | head -c 1000000 >f'
  rm f
  run -125 --separate-stderr bash -c 'ulimit -f 500; exec "$0" get --tag t --id x --ttl 1h --on-store-error fail --artifact f -- false' "$MEMOLOCK_BIN"
  contains "$stderr" 'cannot restore f: File too large'
  [[ ! -e f ]]
  equal '' "$(find . -name '.memolock-*')"
}

# ---- leftovers of a killed restore ----

# restore_until SIGNAL: a look-up that restores out, and gets the signal before the first file is at its final path.
restore_until() {
  rm -f restore.trace
  spawn strace -f -qq -o restore.trace -e trace=utimensat -e inject=utimensat:signal="$1":when=1 \
    "$MEMOLOCK_BIN" get --tag t --id x --artifact out >out.txt
}

# drafts DIRECTORY: the number of temporary files of restores in it.
drafts() { find "$1" -name '.memolock-*' | wc -l; }

# killed_restore: kills a restore before any of its files is at its final path.
killed_restore() {
  rm -rf out
  mkdir -p out/sub
  restore_until KILL
  finish $!
  ((status > 128)) || fail "status $status"
  (($(drafts out) == 6)) || fail "$(find out)"
}

@test "temporary files of a killed restore change no entry and no id, and the next restore removes them" {
  get_out >/dev/null 2>&1
  mkdir -p empty/sub
  killed_restore
  equal "$(cd empty && memolock key --no-key-cwd --key-file . -- true)" \
    "$(cd out && memolock key --no-key-cwd --key-file . -- true)"
  (($(drafts out) == 6)) || fail 'a look removes them'
  get_out --refresh >/dev/null 2>&1
  drop out
  get_out >/dev/null 2>&1
  equal 0 "$(drafts out)"
  ran_times 2
  killed_restore
  get_out >/dev/null 2>&1
  equal 0 "$(drafts out)"
  ran_times 2
  equal first "$(<out/a)"
}

@test "temporary files of several killed restores of a single file are removed too" {
  get --artifact out/a -- ./make_out >/dev/null 2>&1
  for _ in 1 2 3; do
    rm -f out/a
    spawn strace -f -qqq -o /dev/null -e trace=utimensat -e inject=utimensat:signal=KILL:when=1 \
      "$MEMOLOCK_BIN" get --tag t --id x --artifact out/a
    finish $!
    equal 1 "$(drafts .)"
  done
  memolock get --tag t --id x --artifact out/a >/dev/null
  equal '0 first' "$(drafts .) $(<out/a)"
}

@test "a restore does not remove the temporary files of a running one in the same directory" {
  get_out >/dev/null 2>&1
  listing out >1.list
  for _ in 1 2 3; do
    rm -rf out
    mkdir -p out/sub
    restore_until STOP
    await grep -qs 'stopped by SIGSTOP' restore.trace
    restoring=$(pgrep -P $! -f 'get --tag t')
    also_end "$restoring" # strace does not take it along
    equal 6 "$(drafts out)"
    get_out >/dev/null 2>&1
    equal 6 "$(drafts out)"
    kill -CONT "$restoring"
    finish $!
    equal '0 0' "$status $(drafts out)"
    listing out >2.list
    same_bytes 1.list 2.list
    equal made "$(<out.txt)"
  done
  ran_times 1
}

@test "after a hundred concurrent restores into one directory, it is complete" {
  get_out >/dev/null 2>&1
  listing out >1.list
  for _ in {1..100}; do spawn_get --artifact out -- false >/dev/null 2>&1; done
  finish_all
  equal 0 "$(drafts out)"
  listing out >2.list
  same_bytes 1.list 2.list
}

@test "temporary files whose lock is missing are removed after a day" {
  get_out >/dev/null 2>&1
  token=0123456789abcdef0123456789abcdef
  touch "out/.memolock-$token-1" "out/.memolock-$token-replaced-1" "out/.memolock-$token-new"
  get_out >/dev/null 2>&1
  equal 3 "$(drafts out)"
  touch -d '25 hours ago' "out/.memolock-$token-1" "out/.memolock-$token-replaced-1" "out/.memolock-$token-new"
  get_out >/dev/null 2>&1
  equal 0 "$(drafts out)"
}

@test "files with names similar to those of temporary files belong to the command" {
  token=0123456789abcdef0123456789abcdef
  names=(.memolock .memolock- ".memolock-$token" ".memolock-$token-" ".memolock-$token-x" ".memolock-$token-1x"
    ".memolock-${token}0-1" ".memolock-${token%?}-1" ".memolock-${token^^}-1" ".memolock-$token-replaced-"
    ".memolock-$token-newer" "memolock-$token-1")
  get --artifact out -- sh -c 'mkdir out; cd out; touch -d "2 days ago" "$@"' - "${names[@]}"
  drop out
  get --artifact out -- false
  equal "${#names[@]}" "$(find out -type f | wc -l)"
  touch -d '2 days ago' out/.memolock*
  get --artifact out -- false
  equal "${#names[@]}" "$(find out -type f | wc -l)"
}

@test "nothing is written from an archive that is too large, or damaged in its last member" {
  get_out >/dev/null 2>&1
  untouched() {
    plant "$1"
    drop out
    run -1 strace -f -qq -o trace -e trace=openat,mkdir,mkdirat,symlinkat \
      "$MEMOLOCK_BIN" get --tag t --id x --artifact out "${@:2}"
    ! grep -e mkdir -e symlink -e '"\.memolock-' trace || fail 'something is made'
    [[ ! -e out ]]
    mkdir out
  }
  unpacks_to sh -c 'echo 1 >a; mkdir deep; head -c 3000000 /dev/zero >deep/b'
  untouched evil.tar --max-entry 2MB
  unpacks_to sh -c 'echo 1 >a; head -c 3000000 /dev/urandom >b'
  untouched evil.tar --max-entry 2MB
  zstd -dcq evil.tar | head -c 1500000 >cut.tar
  untouched cut.tar
  zstd -q cut.tar
  untouched cut.tar.zst
}

@test "packing does not read the holes of files, and restoring recreates them" {
  holes='truncate -s 1G big; echo begin | dd of=big conv=notrunc status=none
    seq 100000 | dd of=big bs=1M seek=500 conv=notrunc status=none; truncate -s 50M empty; truncate -s 70M tail; echo x >>tail'
  strace -f -qq -o trace -e trace=pread64 -P "$PWD/out/big" -P "$PWD/out/empty" -P "$PWD/out/tail" \
    "$MEMOLOCK_BIN" get --tag t --id x --ttl 1h --max-entry 2GiB --artifact out -- sh -c "mkdir out; cd out; $holes"
  # it would be 4480 if holes were read
  (($(grep -c pread64 trace) < 20)) || fail "$(grep -c pread64 trace) reads"
  listing out >1.list
  drop out
  get --max-entry 2GiB --artifact out -- false
  listing out >2.list
  same_bytes 1.list 2.list
  (($(du -k out | tail -n 1 | cut -f 1) < 4000)) || fail 'its holes are filled'
}

# ---- other verbs, variables and signals ----

@test "ls counts the artifacts, and del removes them" {
  get --artifact f -- sh -c 'head -c 5000 /dev/urandom >f; echo 12345'
  size=$(memolock ls | cut -f 6)
  ((size > 5000 && size < 6000)) || fail "$size bytes"
  run -0 memolock del --tag t --id x
  equal '' "$(memolock ls)"
  ! on_redis || store_is_empty
}

@test "MEMOLOCK_ARTIFACT sets a path" {
  MEMOLOCK_ARTIFACT=out run -0 get -- counted ./make_out
  drop out
  MEMOLOCK_ARTIFACT=out run -0 get -- counted false
  equal first "$(<out/a)"
}

@test "an interrupt while artifacts are packed stores nothing, and a waiter takes over" {
  spawn_get --max-entry 50GiB --report report --artifact large -- sh -c 'truncate -s 40G large; echo one' >1.out
  await has_open "${spawned[0]}" large # packs it
  spawn_get --artifact large -- counted sh -c 'truncate -s 0 large; echo two' >2.out
  await is_waiting $!
  kill -TERM "${spawned[0]}"
  finish "${spawned[0]}"
  equal 143 "$status"
  contains "$(<report)" '"outcome":"interrupted"'
  finish "${spawned[1]}"
  equal 0 "$status"
  equal 'one two' "$(<1.out) $(<2.out)"
  ran_times 1
  store_is_clean
}
