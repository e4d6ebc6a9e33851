#!/usr/bin/env bats
# doctor on the local store: each fault is reported with a remedy, and nothing is left behind.
# store: local

load ../helpers/common

teardown() {
  end_all
  [[ ! -v uid ]] || rm -rf "/tmp/memolock-control-$uid"
}

# examined STATUS COMMAND…: runs the command, asserts its status, and sets $output.
examined() {
  run --separate-stderr "-$1" "${@:2}"
  equal '' "$stderr"
}
doctor() { memolock doctor "$@"; }

# found LEVEL SUBJECT PART…: asserts that there is such a finding, whose line contains each PART.
found() {
  local line part
  line=$(grep -E "^$1 +$2 " <<<"$output") || fail "no '$1 $2' in: $output"
  for part in "${@:3}"; do contains "$line" "$part"; done
}

# without CALL ERROR: doctor, with each system call CALL for a file of the store failing with ERROR.
without() {
  strace -qq -o trace -e "trace=$1" -e "inject=$1:error=$2${3-}" "$MEMOLOCK_BIN" doctor
}

@test "for a usable directory every line is ok, and nothing is left in it" {
  get -- true
  before=$(find store -printf '%p %C@\n' | grep -v '^store ')
  examined 0 doctor
  equal 'directory owner mode space network writes locks fifo rename spool control' \
    "$(awk '$1 == "ok" { printf "%s%s", between, $2; between = " " }' <<<"$output")"
  equal 11 "$(wc -l <<<"$output")"
  found ok directory "$PWD/store"
  found ok mode 0700
  found ok space free
  equal "$before" "$(find store -printf '%p %C@\n' | grep -v '^store ')"
}

@test "a missing directory is not created, and nothing is created next to it" {
  mkdir a
  export MEMOLOCK_CACHE_DIR=$PWD/a/b/store
  examined 0 doctor
  found ok directory "$PWD/a/b/store will be created"
  found ok locks
  equal '' "$(ls -A a)"
}

@test "doctor --json works for the local store, without an ACL rule" {
  examined 0 doctor --json --tag t
  contains "$output" "{\"store\":\"file://$PWD/store\",\"tag\":\"t\",\"usable\":true,\"findings\":[{\"level\":\"ok\",\"subject\":\"directory\","
  contains "$output" '"acl_rule":null}'
  equal 1 "$(wc -l <<<"$output")"
  chmod 770 . && mkdir -m 770 store
  examined 1 doctor --json
  contains "$output" '"usable":false,'
  contains "$output" '{"level":"fail","subject":"mode","message":"0770: other users can write to the store","remedy":"run: memolock doctor --fix --store file://'"$PWD/store"'"'
}

@test "a directory of another user is reported" {
  ((EUID == 0)) || skip 'needs root'
  mkdir -m 700 store
  chown 65534 store
  examined 1 doctor
  found FAIL owner 'user 65534' MEMOLOCK_CACHE_DIR
  equal '' "$(ls -A store)"
}

@test "a directory that other users can write to or read is reported" {
  mkdir -m 770 store
  examined 1 doctor
  found FAIL mode 0770 'run: memolock doctor --fix'
  equal '' "$(ls -A store)"
  chmod 755 store
  examined 0 doctor
  found advice mode 0755 'run: memolock doctor --fix'
}

@test "a path that is a file, below a file, a dangling link, or where nothing can be created, is reported" {
  : >store
  examined 1 doctor
  found FAIL directory "$PWD/store: not a directory" MEMOLOCK_CACHE_DIR
  MEMOLOCK_CACHE_DIR=$PWD/store/below examined 1 doctor
  found FAIL directory 'not a directory'
  ln -s nowhere link
  for path in link link/below; do
    MEMOLOCK_CACHE_DIR=$PWD/$path examined 1 doctor
    found FAIL directory "cannot create $PWD/$path: $PWD/link: no such file or directory"
  done
  MEMOLOCK_CACHE_DIR=/proc/memolock examined 1 doctor
  found FAIL '(directory|writes)'
}

@test "a missing HOME is reported" {
  unset HOME XDG_CACHE_HOME MEMOLOCK_CACHE_DIR
  examined 1 doctor
  found FAIL settings HOME
  examined 1 doctor --json
  contains "$output" '"subject":"settings"'
}

@test "a directory that its user cannot write to or create is reported" {
  read_only_store
  examined 1 "${as_user[@]}" ./memolock.copy doctor
  found FAIL writes 'permission denied' MEMOLOCK_CACHE_DIR
  MEMOLOCK_CACHE_DIR=$PWD/store/below examined 1 "${as_user[@]}" ./memolock.copy doctor
  found FAIL directory "cannot create $PWD/store/below: $PWD/store: permission denied"
}

@test "a full or nearly full disk is reported" {
  small_disk size=16k
  small=$PWD/small
  MEMOLOCK_CACHE_DIR=$small examined 0 doctor
  found advice space '16.0 KiB free' 'delete files'
  head -c 16384 /dev/zero >small/fill || true
  MEMOLOCK_CACHE_DIR=$small examined 1 doctor
  found FAIL writes 'no space left on device' 'free space'
  umount "$small"
  mount -t tmpfs -o nr_inodes=1,mode=700 tmpfs "$small"
  MEMOLOCK_CACHE_DIR=$small examined 1 doctor
  found advice space 'no free inodes'
  found FAIL writes 'no space left'
  umount "$small"
}

@test "a file system without a required feature is reported" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  mkdir -m 700 store
  examined 1 without mknodat EPERM
  found FAIL fifo 'operation not permitted' 'another file system'
  examined 1 without 'rename,renameat,renameat2' EXDEV
  found FAIL rename 'invalid cross-device link' 'another file system'
  examined 1 without fcntl ENOLCK
  found FAIL locks 'no locks available' 'another file system'
  # locks that are granted to every process
  run --separate-stderr -1 strace -qq -o trace -e trace=fcntl -e inject=fcntl:retval=0 "$MEMOLOCK_BIN" doctor
  found FAIL locks 'a locked file can be locked again'
  examined 1 without pwrite64 EDQUOT
  found FAIL writes 'disk quota exceeded' quota
  equal '' "$(ls -A store)"
}

@test "a network file system is reported as advice" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  mkdir -m 700 store
  # the type is in the first bytes of the result of fstatfs
  run --separate-stderr -0 strace -qq -o trace -e trace=fstatfs \
    -e 'inject=fstatfs:retval=0:poke_exit=@arg2=6969000000000000' "$MEMOLOCK_BIN" doctor
  [[ $stderr != *poke* ]] || skip 'this strace cannot write into what a call returns'
  found advice network NFS 'a local file system'
}

# modes: the modes of the store and everything in it.
modes() { find store -printf '%m %p\n' | sort -k 2; }

# loosened: gives a store the modes that a volume or an archive would; $before has the original modes.
loosened() {
  get -- true
  memolock once --store local --tag t --id m --ttl 1h -- true
  before=$(modes)
  chmod -R g+rwX store
}

@test "the warning of a store that other users can write to names doctor --fix, which repairs it" {
  loosened
  run --separate-stderr -0 get -- echo output
  contains "$stderr" "other users can write to the store $PWD/store; run: memolock doctor --fix --store file://$PWD/store; running"
  examined 0 doctor --fix
  found ok repaired "$PWD/store: mode 0700, was 0770"
  found ok repaired "$PWD/store/t/x.entry: mode 0600, was 0660"
  found ok repaired "$PWD/store/.stats/t.counts: mode 0600"
  found ok mode 0700
  equal "$before" "$(modes)"
  run --separate-stderr -0 get -- echo again
  equal '' "$output$stderr"
  examined 0 doctor --fix
  found ok repaired 'nothing: all modes are correct'
}

@test "the command in the warning can be pasted into a shell, whatever the name of the store" {
  put_on_path
  mkdir -m 770 "my \"store's\" \$(x) ü"
  run --separate-stderr -125 memolock ls --store "file://$PWD/my \"store's\" \$(x) ü"
  remedy=${stderr#*run: }
  contains "$remedy" 'memolock doctor --fix --store file:///'
  bash -c "$remedy"
  equal 700 "$(stat -c %a my*)"
}

@test "doctor --fix restores permissions that the umask removed" {
  get -- true
  chmod 0 store/t/x.entry store/t store
  examined 0 doctor --fix
  found ok repaired "$PWD/store: mode 0700, was 0000"
  found ok repaired "$PWD/store/t: mode 0700, was 0000"
  equal '' "$(get -- echo again)"
}

@test "doctor --fix summarizes many repairs" {
  for i in {1..12}; do memolock get --tag t --id "$i" --ttl 1h -- true; done
  chmod 664 store/t/*
  examined 0 doctor --fix
  found ok repaired 'modes of 0 directories and 12 files'
  equal 1 "$(grep -c repaired <<<"$output")"
  equal '' "$(find store -type f ! -perm 600)"
}

@test "doctor --fix does not change files of other users, or files that links lead to" {
  ((EUID == 0)) || skip 'needs root'
  loosened
  mkdir outside
  echo text >outside/file
  chmod 666 outside/file
  ln -s ../../outside/file store/t/l.entry
  ln outside/file store/t/hard.entry
  touch store/t/theirs.entry
  chmod 666 store/t/theirs.entry
  chown 65534 store/t/theirs.entry
  examined 0 doctor --fix
  found ok repaired "$PWD/store/t/x.entry"
  equal '666 666 ' "$(stat -c %a outside/file store/t/theirs.entry | tr '\n' ' ')"
  chown 65534 store
  chmod 777 store
  examined 1 doctor --fix
  found FAIL owner
  found ok repaired "this user has no store"
  equal 777 "$(stat -c %a store)"
}

@test "doctor --fix does not change the home directory, and creates no store" {
  memolock doctor --fix >said
  grep -q "nothing: this user has no store" said
  [[ ! -e store ]]
  chmod 775 "$HOME"
  MEMOLOCK_CACHE_DIR=$HOME examined 1 doctor --fix
  found FAIL repaired "$HOME is the home directory"
  equal 775 "$(stat -c %a "$HOME")"
}

# left_alone PART: asserts that doctor --fix changes nothing in the store and reports PART.
left_alone() {
  local before
  before=$(modes)
  examined 1 doctor --fix
  found FAIL repaired "$PWD/store $1; its modes are not changed; choose another directory"
  lacks "$output" 'doctor --fix'
  equal "$before" "$(modes)"
}

@test "doctor --fix does not change a directory with files of other programs, and names one" {
  for foreign in notes link .git .hidden t/notes src/main.c src/y.entry.bak; do
    rm -rf store
    loosened
    mkdir -p "store/$(dirname "$foreign")"
    case $foreign in
      link) ln -s t store/link ;;
      .git) mkdir store/.git ;;
      *) : >"store/$foreign" ;;
    esac
    chmod -R g+rwX store
    left_alone "contains $foreign, which does not belong to memolock"
  done
  # a source tree
  rm -rf store
  mkdir -p store/{src,doc}
  : >store/src/main.c
  chmod -R 775 store
  left_alone "contains src/main.c, which does not belong to memolock"
  rm -r store/src/main.c store/doc
  left_alone 'contains src, but nothing that identifies it as a store'
  # a name that other programs use too
  : >store/src/poetry.lock
  left_alone 'contains src, but nothing that identifies it as a store'
  if ((EUID == 0)); then
    rm -rf store
    loosened
    mkdir store/theirs
    chown 65534 store/theirs
    left_alone "contains theirs, which does not belong to memolock"
  fi
}

@test "doctor --fix repairs an empty directory, and a store with files that file systems create" {
  mkdir -m 775 store
  examined 0 doctor --fix
  equal 700 "$(stat -c %a store)"
  loosened
  mkdir store/{empty,lost+found}
  touch store/.nfs0001 store/t/.nfs0002
  chmod 775 store/{empty,lost+found}
  examined 0 doctor --fix
  equal '700 700 775 ' "$(stat -c %a store store/empty store/lost+found | tr '\n' ' ')"
}

@test "doctor --fix does not change a sticky directory, and is not suggested for it" {
  mkdir -m 1777 store
  left_alone 'is a directory that several users share (sticky)'
  run --separate-stderr -0 get -- echo output
  contains "$stderr" "other users can write to the store $PWD/store; choose another directory"
  lacks "$output$stderr" --fix
  chmod 775 "$HOME"
  MEMOLOCK_CACHE_DIR=$HOME run --separate-stderr -0 get -- echo output
  contains "$stderr" "other users can write to the store $HOME; choose another directory"
  if ((EUID == 0)) && unshare -m true 2>/dev/null; then
    # in another root directory, where nothing can be damaged
    run unshare -m bash -c 'set -e; mkdir root; mount -t tmpfs -o mode=775 tmpfs root; cd root; mkdir old lib lib64 usr proc
      for d in lib lib64 usr proc; do [[ ! -d /$d ]] || mount --rbind "/$d" $d; done
      cp "$0" memolock
      chroot . ./memolock doctor --fix --store file:/// || true; stat -c %a .' "$MEMOLOCK_BIN"
    contains "$output" 'repaired    / is the root directory; its modes are not changed'
    equal 775 "${lines[-1]}"
  fi
}

@test "if the file system keeps the old mode, doctor --fix reports a failure" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  loosened
  run --separate-stderr -1 strace -qq -o trace -e trace=chmod,fchmodat -e inject=chmod,fchmodat:retval=0 "$MEMOLOCK_BIN" doctor --fix
  found FAIL repaired "cannot change the mode of $PWD/store: the file system keeps 0770; choose another directory"
}

@test "doctor without --fix changes no mode" {
  loosened
  after=$(modes)
  examined 1 doctor
  equal "$after" "$(modes)"
}

@test "doctor --fix has nothing to repair on a server" {
  start_redis --port 0
  examined 0 doctor --fix --store "redis+unix://$REDIS_SOCKET"
  found ok repaired 'nothing: a server has no file modes'
}
