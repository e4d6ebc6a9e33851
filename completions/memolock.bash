# shellcheck shell=bash
# bash completions for memolock, memolock-sh and memo.
#
# Verbs, options and the types of their values come from "memolock --help" and "memolock VERB --help", so that
# they match the installed version. Tags and ids come from the store, which has one second to reply.

# Sets $words to the words of the line, joining those that bash has split at ":" and "="; $cword to the index
# of the current word; and ${origins[i]} to the index in COMP_WORDS at which word i begins.
_memolock_words() {
  local line=$COMP_LINE part i
  words=() origins=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    part=${COMP_WORDS[i]}
    if ((i > 0)) && [[ $line != [[:space:]]* ]]; then
      words[-1]+=$part
    else
      words+=("$part")
      origins+=("$i")
      line=${line#"${line%%[![:space:]]*}"}
    fi
    line=${line#"$part"}
  done
  cword=$((${#words[@]} - 1))
}

# _memolock_learn VERB: sets $takes to the kind of value of each of its options, by name, and $usage to its usage line.
_memolock_learn() {
  local line option='^  (-.,)?(--[a-z-]+)( ([^ ]+))?( |$)'
  while IFS= read -r line; do
    if [[ $line =~ $option ]]; then
      takes[${BASH_REMATCH[2]}]=${BASH_REMATCH[4]}
    elif [[ $line == 'Usage: '* ]]; then
      usage=$line
    fi
  done < <("$program" "$1" --help 2>/dev/null)
}

# _memolock_offer CANDIDATE…: offers the candidates that begin with $cur, without the part that bash does not replace.
_memolock_offer() {
  local candidate kept=''
  if [[ $cur =~ ^.*[:=] ]]; then kept=${BASH_REMATCH[0]}; fi
  for candidate; do
    [[ $candidate != "$cur"* ]] || COMPREPLY+=("${candidate#"$kept"}")
  done
}

_memolock_offer_files() {
  compopt -o filenames 2>/dev/null
  local files
  mapfile -t files < <(compgen -f -- "$cur")
  _memolock_offer "${files[@]}"
}

# The default tag, from a variable or a file: a command that runs without a store prints it.
_memolock_usual_tag() {
  MEMOLOCK_BYPASS=1 timeout 1 "$program" get -q --report= --ttl 0 -- printenv MEMOLOCK_RUN_TAG 2>/dev/null </dev/null
}

# _memolock_offer_stored FIELD [OPTION…]: offers that field of "ls", with the options of $store. Escaped names are
# omitted, because they cannot be distinguished from names that contain a backslash.
_memolock_offer_stored() {
  local name names=()
  while IFS= read -r name; do
    printf -v name %q "$name"
    names+=("$name")
  done < <(timeout 1 "$program" ls -q --store-timeout 300ms "${store[@]}" "${@:2}" 2>/dev/null </dev/null \
    | head -n 1000 | cut -f "$1" | grep -v '[\]' | sort -u)
  _memolock_offer "${names[@]}"
}

# _memolock_offer_values KIND
_memolock_offer_values() {
  case $1 in
    *\|*) IFS='|' read -ra values <<<"$1" && _memolock_offer "${values[@]}" ;;
    PATH | FILE) _memolock_offer_files ;;
    NAME) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
    TAG) _memolock_offer_stored 1 ;;
    ID) _memolock_offer_stored 2 --tag "${tag:-$(_memolock_usual_tag)}" ;;
  esac
}

# _memolock_offer_command INDEX: offers the completions of the wrapped command, whose name is word INDEX.
_memolock_offer_command() {
  if declare -F _command_offset >/dev/null; then
    _command_offset "${origins[$1]}"
  elif (($1 == cword)); then
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  else
    _memolock_offer_files
  fi
}

# Offers the operands from word INDEX on, as $usage describes them.
_memolock_offer_operands() { # INDEX
  case $usage in
    *COMMAND*) _memolock_offer_command "$1" ;;
    *FILE*) _memolock_offer_files ;;
    *)
      local word
      # a word such as bash|zsh|fish
      for word in $usage; do [[ $word != [a-z]*\|* ]] || _memolock_offer_values "$word"; done
      ;;
  esac
}

# _memolock_offer_after INDEX: offers options of the verb and its operands, from word INDEX on.
_memolock_offer_after() {
  local i word kind='' store=() tag=''
  for ((i = $1; i < cword; i++)); do
    word=${words[i]} kind=
    case $word in
      --) break ;;
      -*=*) ;;
      -*)
        kind=${takes[$word]-}
        [[ -z $kind ]] || word+="="${words[++i]}
        ;;
      *) break ;;
    esac
    case $word in
      --tag=*) tag=${word#*=} ;;
      --store=* | --password-file=* | --sentinel-*=* | --tls-*=*) store+=("$word") ;;
    esac
  done
  if ((i > cword)); then
    _memolock_offer_values "$kind"
  elif [[ ${words[i]} == -- ]] && ((i < cword)); then
    _memolock_offer_operands $((i + 1))
  elif ((i < cword)) || [[ $cur != -* ]]; then
    _memolock_offer_operands "$i"
  elif [[ $cur == *=* ]]; then
    kind=${takes[${cur%%=*}]-} cur=${cur#*=}
    _memolock_offer_values "$kind"
  else
    _memolock_offer "${!takes[@]}" -h -v -q
  fi
}

_memolock() {
  local words origins cword cur program usage=''
  local -A takes=()
  COMPREPLY=()
  _memolock_words
  cur=${words[cword]}
  program=${words[0]/#\~/$HOME}
  if ((cword > 1)); then
    _memolock_learn "${words[1]}"
    _memolock_offer_after 2
    return
  fi
  local verbs
  mapfile -t verbs < <("$program" --help 2>/dev/null | awk '/^Verbs:/ { on = 1; next } !NF { on = 0 } on { print $1 }')
  _memolock_offer "${verbs[@]}" --help --version
}

# Options of get, then "--", then the arguments of a shell.
_memolock_sh() {
  local words origins cword cur program=memolock usage=''
  local -A takes=()
  COMPREPLY=()
  _memolock_words
  cur=${words[cword]}
  _memolock_learn get
  takes+=(['--output-only']='')
  usage=FILE
  _memolock_offer_after 1
}

# A ttl, then a function or a command.
_memolock_memo() {
  local words origins cword cur
  COMPREPLY=()
  _memolock_words
  cur=${words[cword]}
  if ((cword == 2)); then
    mapfile -t COMPREPLY < <(compgen -A function -c -- "$cur" | sort -u)
  elif ((cword > 2)); then
    _memolock_offer_command 2
  fi
}

complete -F _memolock memolock
complete -F _memolock_sh memolock-sh
complete -F _memolock_memo memo
