#!/usr/bin/env bats
# memolock.sh, sourced by scripts: memoized functions, and the fallback where memolock is not installed.
# store: any

load ../helpers/common

setup() {
  isolate
  use_store
  put_on_path
  SOURCED=$(realpath "$BATS_TEST_DIRNAME/../../cli/memolock.sh")
  export SOURCED
}

# without_memolock: from now on the PATH of the shells lacks memolock and most other programs.
without_memolock() {
  local name
  mkdir bare
  for name in bash dash zsh sh cat env sed echo true; do ln -s "$(type -P $name)" bare; done
  path=$PWD/bare:$BATS_TEST_DIRNAME/../helpers/bin
}

# in_shell SHELL SCRIPT: runs the script in that shell with memolock.sh sourced.
in_shell() {
  local words=("$(command -v "$1")" -c)
  [[ $1 != zsh ]] || words=("$(command -v zsh)" -fc)
  run --separate-stderr -- env PATH="${path-$PATH}" "${words[@]}" ". \"\$SOURCED\"; $2"
}

@test "memo runs a function once, and replays its output and status" {
  for shell in bash zsh; do
    : >"$RUNS"
    in_shell $shell 'f() { counted echo "out $1"; echo err >&2; return 3; }; export MEMOLOCK_CACHE_FAILURES=1h
      memo 1h f "a b"; echo $?; memo 1h f "a b"; echo $?'
    equal $'out a b\n3\nout a b\n3' "$output"
    equal $'err\nerr' "$stderr"
    ran_times 1
  done
}

@test "memo: the arguments, the ttl and the definition are part of the id" {
  for shell in bash zsh; do
    : >"$RUNS"
    in_shell $shell 'f() { counted echo "$#"; }
      memo 1h f a b; memo 1h f "a b"; memo 1h f
      f() { counted echo "new $#"; }
      memo 1h f; memo 1h f; memo 0 f'
    equal $'2\n1\n0\nnew 0\nnew 0\nnew 0' "$output"
    ran_times 5
  done
}

@test "memo: the functions in MEMO_FUNCTIONS are available to the function, and their definitions are part of the id" {
  for shell in bash zsh; do
    : >"$RUNS"
    in_shell $shell 'h() { echo h; }; i() { h; }; f() { counted true; i; }
      MEMO_FUNCTIONS="  h  i "; memo 1h f; memo 1h f; h() { echo new; }; memo 1h f
      MEMO_FUNCTIONS="h none" memo 1h f; echo $?'
    equal $'h\nh\nnew\n125' "$output"
    one_own_line "$stderr"
    ran_times 2
  done
}

@test "memo: any name and any definition work" {
  cat >late <<'END'
a-b.c() {
  case $1 in
    @(x|y))
      cat <<X
	"$1" 'it' \
"$0"
X
      ;;
  esac
}
END
  in_shell bash 'shopt -s extglob; . ./late; memo 1h a-b.c y'
  equal '' "$stderr"
  equal $'\t''"y" '"'it' "'"a-b.c"' "$output"
  in_shell zsh '"a b"() { print -r -- ${(U)1} }
    memo 1h "a b" y; fpath=($PWD); print "print -r loaded \$1" >late; autoload -Uz late; memo 1h late x'
  equal $'Y\nloaded x' "$output"
}

@test "memo: a function that bash cannot print correctly is not memoized, with one warning" {
  cat >wrong <<'END'
broken() { counted true; true && if cat <<X; then
	"$1"
X
 echo "then $1"; return 3; fi; }
other() { counted true; true && if cat <<X; then
	"$1"
X
 true; echo "then $1"; return 3; fi; }
END
  in_shell bash '. ./wrong; for f in broken other; do memo 1h $f a; echo $?; memo 1h $f a; echo $?; done'
  one=$'\t"a"\nthen a\n3'
  equal "$one"$'\n'"$one"$'\n'"$one"$'\n'"$one" "$output"
  equal 4 "$(grep -c '^memolock: ' <<<"$stderr")"
  equal 4 "$(wc -l <<<"$stderr")"
  contains "$stderr" 'memolock: memo: other is not memoized'
  ran_times 4
  in_shell bash '. ./wrong; export MEMOLOCK_LOG=quiet; memo 1h other a'
  equal '' "$stderr"
  # the same for functions in MEMO_FUNCTIONS
  in_shell bash '. ./wrong; f() { other "$1"; }; MEMO_FUNCTIONS=other; memo 1h f a'
  one_own_line "$stderr"
  ran_times 6
  # an extra name, and bodies that could be taken for part of the here-document
  cat >misprinted <<'END'
one() { true && if cat <<X; then echo a; echo b; fi
x
X
}
two() { true | if cat <<X; then echo a; fi
x
X
}
three() { [[ a == a ]] && cat <<X && { echo a; }
x
X
}
four() { coproc cat; echo b >&"${COPROC[1]}"; read -r -u "${COPROC[0]}"; echo "$REPLY"; }
inner() { four; }
END
  in_shell bash '. ./misprinted; for f in one two three four; do $f; done'
  right=$output
  in_shell bash '. ./misprinted; for f in one two three four; do memo 1h $f; done'
  equal "$right" "$output"
  why='is not memoized: bash cannot print its definition correctly'
  equal $'one\ntwo\nthree\nfour' "$(sed -n "s/^memolock: memo: \(.*\) $why\$/\1/p" <<<"$stderr")"
  equal 4 "$(wc -l <<<"$stderr")"
  in_shell bash '. ./misprinted; MEMO_FUNCTIONS=four memo 1h inner'
  equal b "$output"
  one_own_line "$stderr"
  # zsh prints it correctly
  in_shell zsh '. ./wrong; memo 1h other a; memo 1h other a'
  equal "" "$stderr"
}

# `bash --pretty-print` prints some of these differently.
@test "memo: a function that bash prints correctly is memoized, whatever it contains" {
  cat >whole <<'END'
nested() { inner() { echo "$1"; }; counted true; inner $((1<<2)); deep() { cat <<X
$1
X
}; deep b; }
redirected() { counted cat; } <<X
text
X
named() { counted true; coproc MINE { cat; }; echo b >&"${MINE[1]}"; read -r -u "${MINE[0]}"; echo "$REPLY"; }
unnamed() { counted true; coproc { cat; }; echo b >&"${COPROC[1]}"; read -r -u "${COPROC[0]}"; echo "$REPLY"; }
background() { counted true; cat <<X & wait; }
text
X
END
  for f in nested redirected named unnamed background; do
    : >"$RUNS"
    in_shell bash ". ./whole; ($f) >1; memo 1h $f >2; memo 1h $f >3; cmp 1 2 && cmp 2 3; cat 2"
    equal 0 "$status"
    equal '' "$stderr"
    [[ -n $output ]]
    ran_times 2
  done
}

@test "memo: a function with here-documents that bash prints correctly is memoized" {
  cat >right <<'END'
inner() { if cat <<X && cat <<-'Y Z'; then
$1
X
	$1
	Y Z
 echo "$((1 << 2))"; fi; }
f() {
  counted true
  cat <<<"$1"
  inner "$1" | cat - <<'X'
'"`\
X
}
END
  for shell in bash zsh; do
    : >"$RUNS"
    export BASH_ENV=$PWD/environment
    echo 'echo environment >&2' >environment
    in_shell $shell '. ./right; MEMO_FUNCTIONS=inner; f a >1; memo 1h f a >2; memo 1h f a >3; cmp 1 2 && cmp 2 3'
    equal 0 "$status"
    lacks "$stderr" 'is not memoized'
    ran_times 2
  done
}

@test "memo: a function can read stdin and exported variables" {
  for shell in bash zsh; do
    in_shell $shell 'f() { cat; echo "$shown-${hidden-}"; }; export shown=1; hidden=2; echo in | memo 0 f'
    equal $'in\n1-' "$output"
  done
}

@test "memo runs a command that is not a function" {
  for shell in bash zsh; do
    : >"$RUNS"
    in_shell $shell 'memo 1h counted echo "a  b"; memo 1h counted echo "a  b"; memo 1h sh -c "exit 4"; echo $?'
    equal $'a  b\na  b\n4' "$output"
    ran_times 1
    memolock del --tag default --all
  done
}

@test "memo: variables set the other options" {
  for shell in bash zsh; do
    in_shell $shell 'f() { echo hi; }; MEMOLOCK_TAG=mine memo 1h f; echo "${MEMOLOCK_TAG-unset}"'
    equal $'hi\nunset' "$output"
    equal 1 "$(memolock del --tag mine --all)"
  done
}

@test "memo: variables of the caller, even readonly ones, do not interfere" {
  for shell in bash zsh; do
    : >"$RUNS"
    in_shell $shell 'readonly ttl=1 script=2 name=3 names=4
      g() { counted echo "$1"; }; f() { g "$1"; }; MEMO_FUNCTIONS=g
      memo 1h f a; memo 1h f a; memo 0 counted echo b; echo "$ttl$script$name$names"'
    equal $'a\na\nb\n1234' "$output"
    equal '' "$stderr"
    ran_times 2
  done
}

@test "memo: missing arguments are refused" {
  for shell in bash zsh; do
    in_shell $shell 'memo 1h'
    equal 125 "$status"
    one_own_line "$stderr"
  done
}

# sourcing_changes_nothing SHELL
sourcing_changes_nothing() {
  in_shell "$1" 'set -eu
    state() { { set | sed "/()/,\$d"; set +o; } | sed -E "/^(_|\?|[A-Z_]*LINENO|BASH_[A-Z]*|RANDOM|SECONDS|EPOCH[A-Z]*|SRANDOM)=/d"; }
    f() { state; }
    state >before; . "$SOURCED"; state >after'
  equal "0 " "$status $stderr"
  [[ -s before ]]
  same_bytes before after
}

# bats test_tags=slow
@test "sourcing sets no variable and no option, and works with set -eu" {
  for shell in bash zsh dash; do sourcing_changes_nothing $shell; done
  without_memolock
  for shell in bash zsh dash; do sourcing_changes_nothing $shell; done
}

@test "where memolock is installed, the name still refers to the program" {
  for shell in bash zsh dash; do
    in_shell $shell 'command -v memolock'
    equal "$PWD/bin/memolock" "$output"
  done
}

@test "without memolock, get in a script runs the command directly" {
  without_memolock
  for shell in bash zsh dash; do
    : >"$RUNS"
    in_shell $shell 'set -eu
      for i in 1 2; do memolock get --tag t --id=x -v --ttl 1h -- counted echo "a  b" -- c; done
      memolock get --ttl 1h -- env -- sh -c "exit 4" || echo $?
      echo in | memolock get --ttl 1h -- cat
      memolock get --ttl 1h -- sh -c "echo ttl=5s >>\$MEMOLOCK_CONTROL"
      echo "${MEMOLOCK_CONTROL-unset}"
      memolock get --ttl 1h -- nowhere 2>&1 >&2 || echo $?'
    equal $'a  b -- c\na  b -- c\n4\nin\nunset\n127' "$(grep -v 'not found' <<<"$output")"
    ran_times 2
  done
}

@test "without memolock, the command can follow the options without --, as with memolock" {
  without_memolock
  for shell in bash zsh dash; do
    in_shell $shell 'set -eu
      memolock get --refresh echo 1
      memolock get --ttl 5m echo 2 --ttl
      memolock get -v --early=2 --key-cwd --tag t echo 3 -- x
      memolock get --ttl 5m --refresh -- echo 4
      MEMOLOCK_LOG=quiet memolock lock --id -x echo 5
      MEMOLOCK_LOG=quiet memolock once --id x -q --ttl=1h echo 6'
    equal $'1\n2 --ttl\n3 -- x\n4\n5\n6' "$output"
    equal '' "$stderr"
  done
}

# bats test_tags=slow
@test "without memolock, the fallback knows for each option of get, once and lock whether it takes a value" {
  for verb in get once lock; do
    memolock $verb --help | sed -nE '/--(external|help)/d; s/^  (-.,)?(--[a-z-]+)( ([^ ]+))?( .*|$)/\2 \4/p' >options
    (($(wc -l <options) > 15))
    script=''
    while read -r option value; do script+="memolock $verb $option ${value:+-v }-- echo : $option"$'\n'; done <options
    without_memolock
    MEMOLOCK_LOG=quiet in_shell dash "$script"
    equal "$(sed 's/^/: /; s/ [^ ]*$//' options)" "$output"
    equal '' "$stderr"
    rm -r bare
  done
}

@test "without memolock, a command does not see variables of the fallback" {
  without_memolock
  for shell in bash zsh dash; do
    in_shell $shell 'memolock get --tag t --ttl 1h -- env'
    lacks $'\n'"$output" $'\n_memolock'
    contains $'\n'"$output" $'\nMEMOLOCK_CONTROL=/dev/null'
    in_shell $shell 'memolock get --tag t --ttl 1h -- true; set'
    lacks "${output%%'()'*}" $'\n_memolock'
  done
}

@test "without memolock, once and lock run the command and warn that there is no lock" {
  without_memolock
  for shell in bash zsh dash; do
    for verb in once lock; do
      in_shell $shell "memolock $verb --id x -- echo hi"
      equal hi "$output"
      one_own_line "$stderr"
      in_shell $shell "MEMOLOCK_LOG=quiet memolock $verb --id x -- echo hi"
      equal '' "$stderr"
    done
  done
}

@test "without memolock, nothing is stored" {
  without_memolock
  for shell in bash zsh dash; do
    in_shell $shell 'memolock get --tag t --id x; echo $?; memolock get --id=x --wait 5s --; echo $?; memolock show --id x; echo $?
      memolock ls; memolock gc; memolock del --id x'
    equal $'1\n1\n1\n0' "$output"
    equal '' "$stderr"
  done
}

@test "without memolock, everything that the fallback does not support is refused" {
  without_memolock
  for shell in bash zsh dash; do
    for line in 'lock --id x --' 'once --id x --ttl 1h' 'get --ttl 1h --external -- true' \
      'set --ttl 1h' 'fail' 'key -- true' ''; do
      in_shell $shell "memolock $line"
      equal 125 "$status"
      equal '' "$output"
      one_own_line "$stderr"
    done
  done
}
