#!/usr/bin/env bats
# The completions of bash, zsh and fish; those of bash and zsh on a terminal.
# store: any
# bats file_tags=slow

load ../helpers/common

setup() {
  isolate
  use_store
  put_on_path
  # the scripts give memolock a second, which a busy machine may take
  printf '#!/bin/sh\nshift\nexec %s 60 "$@"\n' "$(command -v timeout)" >bin/timeout
  chmod +x bin/timeout
  SCRIPTS=$(realpath "$BATS_TEST_DIRNAME/../../completions")
  export SCRIPTS TERM=dumb
  mkfifo keys
  exec 8<>keys
}

# ---- a line typed in a shell: $line is the completed line, $offered the candidates ----

# The start-up commands of each shell, which make it write the candidates to a file and, on Ctrl-X, its line.
# COMPLETIONS stands for the commands that load the completions.
# shellcheck disable=SC2089
bash_setup='
PS1=; PROMPT_COMMAND=": >ready"; bind "set bell-style none" "set completion-query-items 0"
eval "$COMPLETIONS"
record() { "$wrapped" "$@"; printf "%s\n" "${COMPREPLY[@]}" >offered; }
for name in memolock:_memolock memolock-sh:_memolock_sh memo:_memolock_memo; do
  eval "record_${name#*:}() { wrapped=${name#*:}; record \"\$@\"; }; complete -F record_${name#*:} ${name%:*}"
done
bind -x "\"\C-x\": printf %s \"\$READLINE_LINE\" >line"'
zsh_setup='
PS1=; unsetopt beep; LISTMAX=10000
autoload -Uz compinit && compinit -D -u
eval "$COMPLETIONS"
compadd() {
  if [[ " $* " != *" -"[OAD]" "* ]]; then
    local -a shown
    builtin compadd -O shown "$@"
    print -rl -- $shown >>offered
  fi
  builtin compadd "$@"
}
write() { print -rn -- "$BUFFER" >line }
zle -N write && bindkey "^X" write
zle-line-init() { : >ready }
zle -N zle-line-init'

# type_in SHELL LINE
type_in() {
  local begin
  rm -f line ready offered
  case $1 in
    bash) begin="bash --noprofile --rcfile <(printf %s \"\$bash_setup\") -i" ;;
    zsh)
      begin='zsh -di'
      export ZDOTDIR=$PWD
      printf '%s\n' "$zsh_setup" >.zshrc
      ;;
  esac
  # shellcheck disable=SC2090
  export bash_setup COMPLETIONS
  SHELL=$(command -v bash) spawn script -qec "$begin" /dev/null <&8 >typescript 2>&1
  await test -e ready
  printf '%s\t\030' "$2" >&8
  await test -e line
  await has_written
  end $!
  line=$(<line)
  offered=$(sed 's/ *$//' offered 2>/dev/null | sort -u)
}
has_written() { [[ -s line ]]; }

# becomes SHELL LINE EXPECTED: asserts that TAB completes the line to this one.
becomes() {
  type_in "$1" "$2"
  equal "$3" "$line"
}

# offers SHELL LINE WORD…: asserts that exactly these candidates are offered.
offers() {
  if [[ $1 == fish ]]; then
    offered=$(in_fish "$2" | cut -f 1 | sort -u)
  else
    type_in "$1" "$2"
  fi
  # zsh itself adds this word
  [[ $1 != zsh ]] || offered=$(sed '/^-$/d' <<<"$offered")
  offered=$(sed /./!d <<<"$offered")
  equal "$(printf '%s\n' "${@:3}" | sort -u | cat -A)" "$(cat -A <<<"$offered")"
}

# in_fish LINE: prints the candidates of fish.
in_fish() {
  LINE=$1 timeout 60 fish -c 'eval "$COMPLETIONS"; complete -C "$LINE"' 2>&1 3>&-
}

# use SHELL: loads the script as a start-up file does.
use() {
  case $1 in
    bash) COMPLETIONS='. "$SCRIPTS/memolock.bash"' ;;
    zsh) COMPLETIONS='eval "$(<$SCRIPTS/_memolock)"' ;;
    fish) COMPLETIONS='source $SCRIPTS/memolock.fish' ;;
  esac
  export COMPLETIONS
}

# options_of VERB, verbs: the options and verbs in --help.
options_of() {
  memolock "$1" --help | grep -E '^ +-' | awk '{ print $1, $2 }' | grep -oE -- '(^| |,)--?[a-z][a-z0-9-]*' | tr -d ' ,' | sort -u
}
verbs() { memolock --help | awk '/^Verbs:/ { on = 1; next } !NF { on = 0 } on { print $1 }'; }

@test "completion prints the script of a supported shell and refuses other names" {
  memolock completion bash >script
  same_bytes "$SCRIPTS/memolock.bash" script
  memolock completion zsh >script
  same_bytes "$SCRIPTS/_memolock" script
  memolock completion fish >script
  same_bytes "$SCRIPTS/memolock.fish" script
  refused 'tcsh' memolock completion tcsh
  refused 'one shell' memolock completion
  refused 'one shell' memolock completion bash zsh
  run --separate-stderr -125 sh -c '"$0" completion bash >/dev/full' "$MEMOLOCK_BIN"
  one_own_line "$stderr"
}

@test "exactly the verbs of --help are offered" {
  mapfile -t all < <(verbs)
  ((${#all[@]} > 5))
  for shell in bash fish; do
    use $shell
    [[ $shell != bash ]] || extra=(--help --version)
    [[ $shell != fish ]] || extra=()
    offers $shell 'memolock ' "${all[@]}" "${extra[@]}"
  done
  use zsh
  type_in zsh 'memolock '
  equal "$(verbs | sort)" "$(grep -v -- '^-' <<<"$offered")"
}

@test "exactly the options of each verb are offered" {
  for shell in bash zsh fish; do
    use $shell
    for verb in $(verbs); do
      mapfile -t all < <(options_of "$verb")
      offers $shell "memolock $verb -" "${all[@]}"
    done
  done
}

@test "for options with a fixed set of values, these values are offered" {
  memolock get --help | sed -nE 's/^ +(--[a-z-]+) ([a-z]+(\|[a-z]+)+) .*/\1 \2/p' >options
  (($(wc -l <options) > 3))
  for shell in bash zsh fish; do
    use $shell
    while read -r option words; do
      IFS='|' read -ra words <<<"$words"
      offers $shell "memolock get -v $option " "${words[@]}"
      # and the option accepts them
      for word in "${words[@]}"; do memolock get "$option" "$word" --ttl 0 -- true; done
    done <options
    offers $shell 'memolock completion ' bash fish zsh
  done
  use bash
  becomes bash 'memolock get --on-timeout=s' 'memolock get --on-timeout=stale '
  use zsh
  becomes zsh 'memolock get --on-timeout=s' 'memolock get --on-timeout=stale '
  use fish
  offers fish 'memolock get --on-timeout=s' --on-timeout=stale
}

@test "file names, directory names and variables are offered where the option expects them" {
  export VERY_OWN=1
  mkdir vfolder
  : >vfile
  for shell in bash zsh fish; do
    use $shell
    slash=/
    [[ $shell == fish ]] || slash=''
    offers $shell 'memolock get --key-file v' vfile vfolder$slash
    offers $shell 'memolock get --report v' vfile vfolder$slash
    offers $shell 'memolock set v' vfile vfolder$slash
    offers $shell 'memolock get --key-env VERY_O' VERY_OWN
    offers $shell 'memolock get --sentinel-user VERY_O' ''
    offers $shell 'memolock get --ttl v' ''
    offers $shell 'memolock ls v' ''
  done
}

# an_entry TAG ID
an_entry() { memolock get --tag "$1" --id "$2" --ttl 1h -- true; }

@test "the tags of the store are offered, and the ids of the tag on the line" {
  an_entry default plain
  an_entry other 'a:b'
  an_entry other $'control\n'
  memolock get --store "file://$PWD/third" --tag third --id x --ttl 1h -- true
  for shell in bash zsh fish; do
    use $shell
    offers $shell 'memolock get --tag ' default other
    offers $shell 'memolock get --id ' plain
    offers $shell "memolock ls --store file://$PWD/third --tag " third
  done
  for shell in bash zsh; do
    use $shell
    becomes $shell 'memolock del --tag other --id ' 'memolock del --tag other --id a:b '
    becomes $shell 'memolock del --tag other --id a:' 'memolock del --tag other --id a:b '
    becomes $shell 'memolock del --tag=other -v --id=a' 'memolock del --tag=other -v --id=a:b '
    MEMOLOCK_TAG=other becomes $shell 'memolock del --id ' 'memolock del --id a:b '
  done
  use fish
  offers fish 'memolock del --tag other --id ' a:b
  offers fish 'memolock del --tag=other -v --id=a' --id=a:b
  MEMOLOCK_TAG=other offers fish 'memolock del --id ' a:b
}

@test "without --tag on the line, ids of the default or configured tag are offered" {
  an_entry default plain
  an_entry filed 'of-file'
  mkdir -p "$XDG_CONFIG_HOME/memolock"
  printf '%s\n' 'tag = "filed"' "report = \"$PWD/report\"" >"$XDG_CONFIG_HOME/memolock/config.toml"
  for shell in bash zsh fish; do
    use $shell
    offers $shell 'memolock get --id ' of-file
    offers $shell 'memolock get --tag default --id ' plain
    MEMOLOCK_TAG=default offers $shell 'memolock get --id ' plain
  done
  [[ ! -e report ]]
}

@test "fish shows descriptions of tags and ids" {
  an_entry other x
  use fish
  equal $'other\ttag' "$(in_fish 'memolock get --tag ')"
  equal $'x\tid of other' "$(in_fish 'memolock get --tag other --id ')"
}

@test "the store is queried with all options on the line that affect it" {
  export ASKED=$PWD/asked
  rm bin/memolock
  printf '%s\n' '#!/bin/sh' 'case "$1 $2" in "ls -q") echo "$*" >"$ASKED" ;; esac' 'exec "$MEMOLOCK_BIN" "$@"' >bin/memolock
  chmod +x bin/memolock
  mapfile -t options < <(memolock ls --help | sed -nE 's/^  (--(store|password|sentinel|tls)[a-z-]*) .*/\1/p' | grep -v store-timeout)
  equal 8 "${#options[@]}"
  for shell in bash zsh fish; do
    use $shell
    rm -f asked
    offers $shell "memolock get $(printf '%s v ' "${options[@]}")--id " ''
    for option in "${options[@]}"; do contains "$(<asked)" " $option=v"; done
    rm -f asked
    offers $shell "memolock get $(printf '%s=v ' "${options[@]}")--tag " ''
    for option in "${options[@]}"; do contains "$(<asked)" " $option=v"; done
  done
}

@test "an id with blanks and dollar signs is completed as one quoted word" {
  an_entry other 'a b$c'
  for shell in bash zsh; do
    use $shell
    becomes $shell 'memolock del --tag other --id a' 'memolock del --tag other --id a\ b\$c '
  done
  use fish
  offers fish 'memolock del --tag other --id a' 'a b$c'
}

@test "completion gives up on a store that does not answer" {
  rm bin/memolock
  # six times the limit of the scripts, which a busy machine may need to start the program
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nlimit=$((6 * $1))\nshift\nexec %s "$limit" "$@"\n' \
    "$(type -aP timeout | grep -vxF "$PWD/bin/timeout" | head -n 1)" >bin/timeout
  printf '%s\n' '#!/bin/sh' '[ "$1 $2" != "ls -q" ] || { echo "$*" >>asked; exec sleep 100; }' 'exec "$MEMOLOCK_BIN" "$@"' >bin/memolock
  chmod +x bin/memolock
  for shell in bash zsh fish; do
    use $shell
    rm -f asked
    offers $shell 'memolock get --tag ' ''
    # TAB once: this is also the limit for the server
    equal 1 "$(grep -c -- '--store-timeout 300ms' asked)"
  done
}

@test "after -- the completions of the command are offered" {
  printf 'wanted-target:\n' >Makefile
  for shell in bash zsh; do
    use $shell
    [[ $shell != bash ]] || COMPLETIONS=". /usr/share/bash-completion/bash_completion; $COMPLETIONS"
    becomes $shell 'memolock get --tag t -- make wanted' 'memolock get --tag t -- make wanted-target '
    becomes $shell 'memolock get --tag t make wanted' 'memolock get --tag t make wanted-target '
    becomes $shell 'memolock get --tag t -- make --always' 'memolock get --tag t -- make --always-make '
  done
  use fish
  offers fish 'memolock get --tag t -- make wanted' wanted-target
  offers fish 'memolock get --tag t make wanted' wanted-target
  offers fish 'memolock get --tag t -- make --direc' --directory
}

@test "command names are completed, and in bash file names without bash-completion" {
  printf '#!/bin/sh\n' >bin/wholly-own
  chmod +x bin/wholly-own
  : >vfile
  for shell in bash zsh; do
    use $shell
    becomes $shell 'memolock get --tag t wholly-o' 'memolock get --tag t wholly-own '
    becomes $shell 'memolock get --tag t -- wholly-o' 'memolock get --tag t -- wholly-own '
    becomes $shell 'memolock get -- wholly-own vf' 'memolock get -- wholly-own vfile '
  done
  use fish
  offers fish 'memolock get --tag t wholly-o' wholly-own
  offers fish 'memolock get -- wholly-own vf' vfile
}

@test "memolock-sh completes the options of get, memo completes functions and commands" {
  : >vfile
  for shell in bash zsh; do
    use $shell
    becomes $shell 'memolock-sh --output' 'memolock-sh --output-only '
    becomes $shell 'memolock-sh --on-timeout st' 'memolock-sh --on-timeout stale '
    becomes $shell 'memolock-sh --ttl 1h -- vf' 'memolock-sh --ttl 1h -- vfile '
    COMPLETIONS+='; own_function() { :; }'
    becomes $shell 'memo 5m own_f' 'memo 5m own_function '
    becomes $shell 'memo 5m own_function vf' 'memo 5m own_function vfile '
  done
  use fish
  offers fish 'memolock-sh --output' --output-only
  offers fish 'memolock-sh --on-timeout st' stale
  offers fish 'memolock-sh --ttl 1h -- vf' vfile
}

@test "the completion system of each shell finds the script by its name" {
  use zsh
  COMPLETIONS=''
  zsh_setup="fpath=(\$SCRIPTS \$fpath)$zsh_setup"
  becomes zsh 'memolock doc' 'memolock doctor '
  becomes zsh 'memolock-sh --output' 'memolock-sh --output-only '
  mkdir -p "$HOME/.local/share/bash-completion/completions"
  ln -s "$SCRIPTS/memolock.bash" "$HOME/.local/share/bash-completion/completions/memolock"
  COMPLETIONS='. /usr/share/bash-completion/bash_completion'
  bash_setup=${bash_setup//complete -F/: }
  becomes bash 'memolock doc' 'memolock doctor '
  mkdir -p "$XDG_CONFIG_HOME/fish/completions"
  ln -s "$SCRIPTS/memolock.fish" "$XDG_CONFIG_HOME/fish/completions/memolock.fish"
  COMPLETIONS=''
  offers fish 'memolock doc' doctor
}
