#!/usr/bin/env bats
# Files with a secret that other users can read: a warning says so, and the call continues.
# store: redis

load ../helpers/common

setup() {
  isolate
  use_store
  echo secret >password
  chmod 600 password
}

# warned PART ARG…: asserts that the call succeeds with one warning that contains PART.
warned() {
  run --separate-stderr -0 memolock "${@:2}"
  one_own_line "$stderr"
  contains "$stderr" "$1"
}

# silent ARG…: asserts that the call succeeds without a warning.
silent() {
  run --separate-stderr -0 memolock "$@"
  equal '' "$stderr"
}

# A password is refused by a server without one, so these servers have one.
guarded() {
  start_redis --port 0
  redis config set requirepass secret >/dev/null
  export MEMOLOCK_STORE=redis+unix://$REDIS_SOCKET
}

# open_with PASSWORD COMMAND…: runs the Redis command with that password.
open_with() { REDISCLI_AUTH=$1 redis "${@:2}" >/dev/null; }

@test "a password file that other users can read is reported with a remedy" {
  guarded
  silent ls --password-file password
  for mode in 644 640 604 660; do
    chmod "$mode" password
    warned "--password-file: other users can read password; run: chmod go-rwx password" ls --password-file password
  done
  for words in 'get --tag t --id x --ttl 1h -- true' stats doctor 'del --tag t --id x'; do
    # shellcheck disable=SC2086
    MEMOLOCK_PASSWORD_FILE=password warned 'other users can read password' $words
  done
  silent ls -q --password-file password
  # because it is not read
  silent ls --store local --password-file password
  put_on_path
  mv password "my password's"
  warned "chmod go-rwx 'my password'\\''s'" ls --password-file "my password's"
  bash -c "${stderr#*run: }"
  silent ls --password-file "my password's"
}

@test "a password file given as a descriptor is reported by its own name" {
  guarded
  chmod 644 password
  for name in /dev/stdin /dev/fd/0 /proc/self/fd/0 //dev/stdin; do
    warned "other users can read $PWD/password; run: chmod go-rwx $PWD/password" ls --password-file $name <password
  done
  warned "other users can read $PWD/password; run: chmod go-rwx $PWD/password" ls --password-file /dev/fd/7 7<password
}

@test "a password from a pipe, a deleted file or /proc is not reported" {
  guarded
  silent ls --password-file <(echo secret)
  silent ls --password-file /dev/stdin <<<secret
  chmod 644 password
  exec 5<password
  rm password
  silent ls --password-file /dev/fd/5
  exec 5<&-
  hostname=$(</proc/sys/kernel/hostname)
  open_with secret config set requirepass "$hostname"
  silent ls --password-file /proc/sys/kernel/hostname
}

@test "a secret on a file system that is mounted read-only is not reported" {
  guarded
  small_disk size=16k
  cp password small
  chmod 444 small/password
  warned 'other users can read small/password' ls --password-file small/password
  mount -o remount,ro "$PWD/small"
  silent ls --password-file small/password
}

@test "a secret that its owner has made readable for a group is not reported to members of the group" {
  ((EUID == 0)) || skip 'needs root'
  guarded
  chown 65534 password
  chmod 640 password
  silent ls --password-file password
  chmod 644 password
  warned 'other users can read password' ls --password-file password
}

@test "a password file for sentinels and a TLS key that other users can read are reported" {
  touch key certificate
  chmod 644 key password
  for words in 'redis+sentinel://127.0.0.1:1/m --sentinel-password-file password' \
    'rediss://127.0.0.1:1 --tls-key key --tls-cert certificate'; do
    # shellcheck disable=SC2086
    run --separate-stderr -125 memolock ls --store $words
    [[ $stderr =~ --(sentinel-password-file|tls-key):\ other\ users\ can\ read\ (password|key)\;\ run:\ chmod\ go-rwx ]] || fail "$stderr"
  done
  chmod 600 key
  run --separate-stderr -125 memolock ls --store rediss://127.0.0.1:1 --tls-key key --tls-cert certificate
  lacks "$stderr" 'other users can read'
}

@test "a password in a configuration that other users can read is reported" {
  guarded
  file=$XDG_CONFIG_HOME/memolock/config.toml
  mkdir -p "${file%/*}"
  unset MEMOLOCK_STORE
  echo "store = \"redis+unix://:secret@$REDIS_SOCKET\"" >"$file"
  chmod 644 "$file"
  warned "other users can read the password in $file; run: chmod go-rwx $file" ls
  lacks "$stderr" secret
  chmod 600 "$file"
  silent ls
  open_with secret config set requirepass ''
  echo "store = \"redis+unix://$REDIS_SOCKET\"" >"$file"
  chmod 644 "$file"
  silent ls
}

@test "for a configuration of another user or of the machine, the warning suggests moving the password" {
  ((EUID == 0)) || skip 'needs root'
  guarded
  unset MEMOLOCK_STORE
  unshare -m true 2>/dev/null || skip 'cannot mount here'
  advice='move the password to a file of its own and name it with password-file'
  line="store = \"redis+unix://:secret@$REDIS_SOCKET\""
  file=$XDG_CONFIG_HOME/memolock/config.toml
  mkdir -p "${file%/*}"
  echo "$line" >"$file"
  chmod 644 "$file"
  chown 65534 "$file"
  warned "other users can read the password in $file; $advice" ls
  rm "$file"
  echo "$line" >config.toml
  run --separate-stderr -0 unshare -m sh -c 'mount -t tmpfs tmpfs /etc && mkdir /etc/memolock && cp config.toml /etc/memolock && exec "$@"' - "$MEMOLOCK_BIN" ls
  one_own_line "$stderr"
  contains "$stderr" "other users can read the password in /etc/memolock/config.toml; $advice"
}
