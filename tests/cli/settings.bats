#!/usr/bin/env bats
# Settings: the command line overrides a variable, which overrides a configuration file.

load ../helpers/common

# config LINE…: writes the user's configuration file.
config() {
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  printf '%s\n' "$@" >"$XDG_CONFIG_HOME/memolock/config.toml"
}

# left ID: the time left that ls shows for this id.
left() { memolock ls | grep "	$1	" | cut -f 5; }

@test "a variable sets its option" {
  MEMOLOCK_TTL=forever MEMOLOCK_TAG=from-variable memolock get --id x -- true
  contains "$(memolock ls)" $'from-variable\tx\tfresh'
  equal forever "$(left x)"
}

@test "the configuration file sets options" {
  config 'ttl = "forever"' 'tag = "from-file"'
  memolock get --id x -- true
  contains "$(memolock ls)" $'from-file\tx\tfresh'
}

@test "the command line overrides the variable, and the variable overrides the file" {
  config 'tag = "file"' 'ttl = "1h"'
  MEMOLOCK_TAG=variable memolock get --id a -- true
  MEMOLOCK_TAG=variable memolock get --tag line --id b -- true
  memolock get --id c -- true
  equal $'file\tc\nline\tb\nvariable\ta' "$(memolock ls | cut -f 1,2 | sort)"
}

@test "the user's file wins over the machine's in /etc, key by key" {
  unshare -m true 2>/dev/null || skip 'cannot mount here'
  mkdir -p etc/memolock
  printf '%s\n' 'tag = "machine"' 'ttl = "forever"' >etc/memolock/config.toml
  on_machine() {
    # shellcheck disable=SC2016
    unshare -m sh -c 'mount --bind etc /etc && exec "$@"' - "$MEMOLOCK_BIN" "$@"
  }
  on_machine get --id a -- true
  equal $'machine\ta\tforever' "$(memolock ls | cut -f 1,2,5)"
  memolock del --tag machine --id a
  # what the user does not say is still the machine's
  config 'tag = "user"'
  on_machine get --id b -- true
  equal $'user\tb\tforever' "$(memolock ls | cut -f 1,2,5)"
  MEMOLOCK_TAG=variable on_machine get --id b -- true
  equal $'user\nvariable' "$(memolock ls | cut -f 1)"
}

@test "the file can have numbers and booleans as values" {
  config 'ttl = 3600' 'refresh = true' 'max-entry = 10'
  memolock get --id x -- counted true
  memolock get --id x -- counted true
  ran_times 2
  run -0 --separate-stderr memolock get --id x -- echo 'more than ten bytes'
  contains "$stderr" 'not stored'
}

@test "a flag is set by 1 in its variable and not by 0" {
  get -- counted true
  MEMOLOCK_REFRESH=0 get -- counted true
  ran_times 1
  MEMOLOCK_REFRESH=1 get -- counted true
  ran_times 2
}

@test "a flag accepts a boolean in any case, in a variable, in a file and on the command line" {
  get -- true
  for value in 1 true yes on TRUE Yes oN; do
    MEMOLOCK_REFRESH=$value get -- counted true
    config "refresh = \"$value\""
    get -- counted true
    config
    get --refresh=$value -- counted true
    MEMOLOCK_BYPASS=$value get -- counted true
  done
  ran_times 28
  for value in 0 false no off FALSE No oFF; do
    MEMOLOCK_REFRESH=$value get -- counted true
    config "refresh = \"$value\""
    get --refresh=$value -- counted true
    config
    MEMOLOCK_BYPASS=$value get -- counted true
    MEMOLOCK_EARLY=$value get -- counted true
  done
  ran_times 28
}

@test "a value that is not a boolean is refused for a flag" {
  for value in 2 maybe t y enable ' 1'; do
    MEMOLOCK_REFRESH=$value refused "MEMOLOCK_REFRESH: '$value' is not a boolean" get -- counted true
    MEMOLOCK_BYPASS=$value refused "MEMOLOCK_BYPASS: '$value' is not a boolean" get -- counted true
    MEMOLOCK_BYPASS=$value refused MEMOLOCK_BYPASS memolock once --store local --id x --ttl 1h -- counted true
    MEMOLOCK_BYPASS=$value refused MEMOLOCK_BYPASS memolock lock --id x -- counted true
    refused "--refresh: '$value' is not a boolean" get "--refresh=$value" -- counted true
  done
  MEMOLOCK_BYPASS=maybe run -0 memolock ls
  config 'refresh = "maybe"'
  refused "refresh: 'maybe' is not a boolean" get -- counted true
  config 'bypass = true'
  run --separate-stderr -0 get -- counted true
  contains "$stderr" "unknown key 'bypass'"
  ran_times 1
}

@test "an empty variable is ignored" {
  MEMOLOCK_WAIT='' MEMOLOCK_TAG='' memolock get --id x --ttl 1h -- true
  contains "$(memolock ls)" $'default\tx'
}

@test "every option of get except --id can be set by its variable" {
  spawn_get -- held a true
  await test -e a.started
  MEMOLOCK_WAIT=10ms MEMOLOCK_ON_TIMEOUT=run run -0 get -- echo own
  equal own "$output"
  release a
  finish_all
  MEMOLOCK_MAX_RUNTIME=50ms run -124 get --refresh -- sleep 60
  MEMOLOCK_MAX_ENTRY=5 run -0 get --refresh -- echo 'too long'
  contains "$output" 'not stored'
  MEMOLOCK_REPORT=report get -- true
  [[ -s report ]]
  MEMOLOCK_STORE=file://$PWD/other get -- true
  [[ -d other ]]
  : >file
  MEMOLOCK_STORE=file://$PWD/file MEMOLOCK_ON_STORE_ERROR=fail run -125 get -- true
}

@test "an unknown key gives one warning" {
  config 'ttl = "1h"' 'colour = "red"'
  run --separate-stderr -0 memolock get --id x -- echo output
  equal output "$output"
  one_own_line "$stderr"
  contains "$stderr" colour
}

@test "keys of other verbs are accepted without a warning" {
  config 'ttl = "1h"' 'max-entry = "1MiB"'
  run --separate-stderr -0 memolock ls
  equal '' "$stderr"
  run --separate-stderr -0 memolock del --tag t --id x
  equal '' "$stderr"
}

@test "an unknown variable with the prefix of memolock is ignored" {
  MEMOLOCK_COLOUR=red run --separate-stderr -0 get -- true
  equal '' "$stderr"
}

@test "an unknown key gives one warning, whatever its value" {
  for line in '[future]' 'future.x = 1' 'future = { x = 1 }' 'future = 1979-05-27' 'future = [[1], {}]'; do
    config "$line"
    run --separate-stderr -0 get -- echo output
    equal output "$output"
    one_own_line "$stderr"
    contains "$stderr" "'future'"
  done
  config 'ttl = 1979-05-27'
  refused 'ttl: must be a string, a number or a boolean' memolock get --id x -- true
}

@test "-q suppresses the warning about an unknown key" {
  config 'colour = "red"'
  run --separate-stderr -0 get -q -- true
  equal '' "$stderr"
}

@test "an error in the file is reported with the name of the file" {
  config 'ttl = "soon"'
  refused config.toml memolock get --id x -- true
  config 'ttl = '
  refused config.toml memolock get --id x -- true
  config 'ttl = { a = 1 }'
  refused config.toml memolock get --id x -- true
  config '[section]' 'ttl = "1h"'
  run memolock get --id x --ttl 1h -- true
  contains "$output" config.toml
}

@test "a key that is set twice is reported with its position, and neither its name nor its value is quoted" {
  for second in 'password = "secret"' '[password]' 'password.x = "secret"'; do
    config 'password = "secret"' "$second"
    refused 'config.toml: line 2, column ' memolock get --id x -- true
    [[ $stderr =~ ': line 2, column '[0-9]+': a key is set twice'$ ]] || fail "$stderr"
  done
  config 'x = {}' '[x."a: cannot redefine existing "]'
  refused 'not valid TOML' memolock get --id x -- true
}

@test "a file with deeply nested values or keys is refused, even with a small stack" {
  ! is_sanitized || skip 'a sanitizer needs a stack of its own'
  times() { printf "%0.s$2" $(seq "$1"); }
  for depth in 17 200 20000; do
    for line in "x = $(times $depth '[')$(times $depth ']')" "x = $(times $depth '{a=')1$(times $depth '}')" \
      "$(times $((depth * 10)) 'x.')y = 1" "[$(times $((depth * 10)) 'x.')y]"; do
      config 'tag = "t"' "$line"
      refused 'line 2' bash -c 'ulimit -s 256; exec "$0" ls' "$MEMOLOCK_BIN"
    done
  done
  for opening in '"\""' "'\'" '"" = """a\"""""" #'$'\n''x' '"" = """a""""" # "'$'\n''x' "'' = '''a''''' # '"$'\n''x'; do
    config "$opening$(times 200000 .a) = 1"
    refused 'a key has more than 100 parts' bash -c 'ulimit -s 256; exec "$0" ls' "$MEMOLOCK_BIN"
  done
  for quotes in '"""' "'''"; do
    config "tag = $quotes"'"t" # '"'t'$(times 200 .).$quotes"
    run -0 --separate-stderr memolock ls
    equal '' "$stderr"
    config "key-env = [$quotes"$'\n'"$(times 200 .)"$'\n'"$quotes, $(times 200 '1.5, ')]"
    run -0 --separate-stderr memolock ls
    equal '' "$stderr"
  done
  config 'tag = "a.b"' "$(times 200 '#.')"
  config "key-env = [$(times 200 '"a.b",')]"
  run -0 --separate-stderr memolock ls
  equal '' "$stderr"
}

@test "an error in a variable is reported with the name of the variable" {
  MEMOLOCK_TTL=soon refused MEMOLOCK_TTL memolock get --id x -- true
  MEMOLOCK_ON_TIMEOUT=never refused MEMOLOCK_ON_TIMEOUT memolock get --id x --ttl 1h -- true
  MEMOLOCK_REFRESH=perhaps refused MEMOLOCK_REFRESH memolock get --id x --ttl 1h -- true
}

@test "options that cannot be combined are reported with the variable or file that sets them" {
  call=(memolock get --id x --ttl 1h)
  excludes='--artifact and --external cannot be used together: COMMAND does not create the files'
  refused "$excludes" "${call[@]}" --artifact a --external -- counted true
  equal "memolock: $excludes" "$stderr"
  MEMOLOCK_EXTERNAL=1 refused "$excludes (MEMOLOCK_EXTERNAL)" "${call[@]}" --artifact a -- counted true
  config 'external = true'
  in_file="$XDG_CONFIG_HOME/memolock/config.toml: external"
  refused "$excludes ($in_file)" "${call[@]}" --artifact a -- counted true
  MEMOLOCK_ARTIFACT=a refused "$excludes (MEMOLOCK_ARTIFACT, $in_file)" "${call[@]}" -- counted true
  ran_times 0
}

@test "an invalid value that the command line overrides is ignored" {
  MEMOLOCK_TTL=soon run -0 get -- true
}

@test "the file is found below HOME when XDG_CONFIG_HOME is not set" {
  config 'ttl = "1h"'
  mkdir "$HOME/.config"
  mv "$XDG_CONFIG_HOME/memolock" "$HOME/.config/memolock"
  unset XDG_CONFIG_HOME
  run -0 memolock get --id x -- true
}

@test "if an option is given twice, the last one is used" {
  memolock get --tag a --tag b --id x --id y --ttl 1ms --ttl forever -- true
  equal $'b\ty\tfresh' "$(memolock ls | cut -f 1-3)"
}

@test "a configuration of more than 1 MiB is refused" {
  config 'ttl = "1h"'
  file=$XDG_CONFIG_HOME/memolock/config.toml
  # a comment that makes the file this long
  grow() {
    echo 'ttl = "1h"' >"$file"
    head -c "$(($1 - 11))" /dev/zero | tr '\0' '#' >>"$file"
  }
  grow $((1 << 20))
  memolock get --id x -- true
  grow $(((1 << 20) + 1))
  refused "cannot read $file: it is larger than 1 MiB" memolock get --id x --ttl 1h -- true
}

@test "an existing configuration that cannot be read is an error" {
  config 'ttl = "1h"'
  file=$XDG_CONFIG_HOME/memolock/config.toml
  rm "$file"
  mkdir "$file"
  refused "cannot read $file: not a regular file" memolock get --id x --ttl 1h -- true
  rmdir "$file"
  mkfifo "$file"
  refused "cannot read $file: not a regular file" memolock get --id x --ttl 1h -- true
  rm "$file"
  ln -s config.toml "$file"
  refused "cannot read $file: Too many levels of symbolic links" memolock get --id x --ttl 1h -- true
  rm "$file"
  ln -s nowhere "$file"
  run --separate-stderr -0 memolock get --id x --ttl 1h -- true
  equal '' "$stderr"
  rm -r "${file%/*}"
  : >"${file%/*}"
  run --separate-stderr -0 memolock get --id x --ttl 1h -- true
  equal '' "$stderr"
}

@test "a configuration without read permission is a warning; an inaccessible one is reported only with -v" {
  config 'ttl = "1h"'
  file=$XDG_CONFIG_HOME/memolock/config.toml
  as_user=()
  cp "$MEMOLOCK_BIN" memolock.copy
  if ((EUID == 0)); then
    chmod o+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  fi
  by_user() { "${as_user[@]}" "$PWD/memolock.copy" key --id x "$@" -- true; }
  run --separate-stderr -0 by_user
  equal '' "$stderr"
  chmod 0 "$file"
  run --separate-stderr -0 by_user
  equal x "$output"
  one_own_line "$stderr"
  contains "$stderr" "cannot read $file: Permission denied; continuing without it"
  # like the home directory of another user whose variables were inherited
  chmod 600 "${file%/*}"
  ((EUID == 0)) || chmod 0 "${file%/*}"
  run --separate-stderr -0 by_user
  equal x "$output"
  equal '' "$stderr"
  MEMOLOCK_LOG=info run --separate-stderr -0 by_user
  equal x "$output"
  contains "$stderr" "cannot access $file: Permission denied; continuing without it"
  chmod 755 "${file%/*}"
}

@test "a configuration that the kernel refuses to open is a warning" {
  strace -o trace true 2>/dev/null || skip 'strace cannot run here'
  config 'ttl = "1h"'
  file=$XDG_CONFIG_HOME/memolock/config.toml
  run --separate-stderr -0 strace -qq -o trace -e trace=openat -P "$file" -e inject=openat:error=EPERM "$MEMOLOCK_BIN" key --id x -- true
  contains "$stderr" "cannot read $file: Operation not permitted; continuing without it"
  run --separate-stderr -125 strace -qq -o trace -e trace=openat -P "$file" -e inject=openat:error=EIO "$MEMOLOCK_BIN" key --id x -- true
  contains "$stderr" "cannot read $file: Input/output error"
}
