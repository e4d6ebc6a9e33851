# shellcheck shell=sh
# To be sourced. Changes no option of the shell and sets no variable. The names of all local variables begin with
# _memo, because a variable of the caller may be readonly. In bash and zsh it defines
#
#   memo TTL FUNCTION [ARG]...
#
# which memoizes a function of the shell, or a command. The id depends on the definition of the function, and on those
# of the functions that MEMO_FUNCTIONS names, separated by blanks. The function runs in a new shell: it sees only the
# exported variables of the caller, and its changes are lost.
#
# In any sh, if there is no command memolock, it defines a function of that name, with which "memolock get OPTION...
# -- COMMAND" runs COMMAND.

# shellcheck disable=SC3043,SC3044,SC2016 # only bash and zsh get here; the script is for another shell
if [ -n "${BASH_VERSION-}${ZSH_VERSION-}" ]; then
  memo() {
    if [ $# -lt 2 ]; then
      printf 'memolock: memo: a ttl and a function or command are required\n' >&2
      return 125
    fi
    local _memo_ttl _memo_text
    _memo_ttl=$1
    shift
    if ! typeset -f -- "$1" >/dev/null; then
      memolock get --ttl "$_memo_ttl" -- "$@"
      return
    fi
    _memo_text=$(_memo_definitions "$1") || return
    if ! _memo_is_read_back "$_memo_text" "$1"; then
      [ "${MEMOLOCK_LOG-}" = quiet ] \
        || printf 'memolock: memo: %s is not memoized: %s cannot print its definition correctly\n' \
          "$1" "${BASH_VERSION:+bash}${ZSH_VERSION:+zsh}" >&2
      "$@"
      return
    fi
    _memo_text="$_memo_text
"'"$0" "$@"'
    if [ -n "${ZSH_VERSION-}" ]; then
      memolock get --ttl "$_memo_ttl" -- zsh -fc "$_memo_text" "$@"
    else
      # a definition may contain patterns that can only be parsed in this mode
      memolock get --ttl "$_memo_ttl" -- "$BASH" -O extglob -c "$_memo_text" "$@"
    fi
  }

  # _memo_definitions FUNCTION: prints the definitions of the function and of those in MEMO_FUNCTIONS.
  _memo_definitions() {
    local _memo_name _memo_names
    _memo_name=$1
    _memo_names="${MEMO_FUNCTIONS-} "
    while :; do
      # load a zsh function that is only marked for autoloading
      case $(typeset -f -- "$_memo_name") in *'builtin autoload -X'*) autoload +X -- "$_memo_name" || return ;; esac
      if ! typeset -f -- "$_memo_name"; then
        printf 'memolock: memo: MEMO_FUNCTIONS must contain only names of functions\n' >&2
        return 125
      fi
      while [ "$_memo_names" != "${_memo_names# }" ]; do _memo_names=${_memo_names# }; done
      [ -n "$_memo_names" ] || break
      _memo_name=${_memo_names%% *}
      _memo_names=${_memo_names#"$_memo_name"}
    done
  }

  # _memo_is_read_back TEXT FUNCTION: whether the shell parses the definitions that it has printed as the same
  # functions. bash prints some here-documents after the wrong line, and an extra name for some coprocesses. The
  # result may be valid, but a different command. Therefore a new bash defines the functions and prints them again.
  # It might interpret the data of a misplaced here-document as commands, so it is restricted: it cannot start
  # programs or write files. The start of another shell is needed only for here-documents and coprocesses.
  _memo_is_read_back() {
    case $1 in *'<<'* | *coproc*) ;; *) return 0 ;; esac
    if [ -n "${ZSH_VERSION-}" ]; then
      zsh -fnc "$1" 2>/dev/null
    else
      [ "$("$BASH" -p -O extglob -c "PATH=; set -r
$1
$(typeset -f _memo_definitions)"'
MEMO_FUNCTIONS=$1
_memo_definitions "$0"' "$2" "${MEMO_FUNCTIONS-}" </dev/null 2>/dev/null)" = "$1" ]
    fi
  }
fi

if ! command -v memolock >/dev/null 2>&1; then
  # In a subshell, so that its variables do not affect the caller.
  memolock() (
    case ${1-} in
      get | once | lock) _memolock_verb=$1 ;;
      ls | gc) exit 0 ;;
      del)
        echo 0
        exit 0
        ;;
      show) exit 1 ;;
      *)
        echo 'memolock: not installed; without it, only get, once, lock, ls, show, del and gc work' >&2
        exit 125
        ;;
    esac
    shift
    while [ $# -gt 0 ]; do
      case $1 in
        --)
          shift
          break
          ;;
        --external)
          echo 'memolock: not installed; --external requires it' >&2
          exit 125
          ;;
        --*=* | --refresh | --early | --key-cwd | --no-key-cwd | --key-stdin | --verbose | --quiet) ;;
        --*) [ $# -eq 1 ] || shift ;;
        -?*) ;;
        *) break ;;
      esac
      shift
    done
    if [ $# -gt 0 ]; then
      [ "$_memolock_verb" = get ] || [ "${MEMOLOCK_LOG-}" = quiet ] \
        || printf 'memolock: not installed; the command runs without a lock\n' >&2
      export MEMOLOCK_CONTROL=/dev/null
      exec "$@"
    fi
    # a look-up
    [ "$_memolock_verb" != get ] || exit 1
    echo 'memolock: not installed; a command is required' >&2
    exit 125
  )
fi
