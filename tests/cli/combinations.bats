#!/usr/bin/env bats
# Which options can be combined: each rule in cli/option_rules.cpp refuses what it says, each ineffective option has
# no effect, and each pair of options without a rule is accepted.
# store: any
# bats file_tags=slow

load ../helpers/common

setup() {
  isolate
  # for --external, which waits for a result that never comes
  export MEMOLOCK_LEASE=50ms
  echo content >file
}

# words VERB WORD…: sets `line` to the words of a call, with a value for each option.
words() {
  local word
  # the surrounding run provides the key and token that these require
  case $1 in
    set | fail) set -- "$1" --id "${@:2}" ;;
    renew) set -- renew --id --token "${@:2}" ;;
  esac
  line=()
  for word; do
    case $word in
      --store) line+=("$word=local") ;;
      --tag) line+=("$word=t") ;;
      --id) line+=("$word=x") ;;
      --key-env) line+=("$word=HOME") ;;
      --token) line+=("$word=0123456789abcdef0123456789abcdef") ;;
      --status | --skip-status) line+=("$word=3") ;;
      --jitter) line+=("$word=10") ;;
      --wait) line+=("$word=10ms") ;;
      --lease) line+=("$word=50ms") ;;
      --on-timeout | --on-store-error) line+=("$word=fail") ;;
      --on-failure) line+=("$word=share") ;;
      --on-lost-lease) line+=("$word=continue") ;;
      --ttl | --stale | --stale-if-error | --cache-failures | --max-runtime | --drain | --store-timeout)
        line+=("$word=1m")
        ;;
      --sentinel-user | --tls-server-name) line+=("$word=name") ;;
      --max-entry | --max-size) line+=("$word=64MiB") ;;
      --artifact) line+=("$word=out") ;;
      --key-file | --password-file | --sentinel-password-file | --tls-ca | --tls-cert | --tls-key)
        line+=("$word=file")
        ;;
      --report) line+=("$word=report") ;;
      SERVER) line+=(--store=redis://127.0.0.1:1/) ;;
      COMMAND)
        if [[ $1 == set ]]; then line+=(file); else line+=(-- touch out); fi
        ;;
      *) line+=("$word") ;;
    esac
  done
}

@test "each combination in the table of rules is refused, with its message and no other output" {
  local kind message call rules=0
  while IFS='|' read -r kind message call; do
    [[ $kind == refused ]] || continue
    # shellcheck disable=SC2086 # words
    words $call
    refused "$message" memolock "${line[@]}"
    equal "memolock: $message" "$stderr"
    ((rules += 1))
  done < <("$HELPERS/option_rules")
  ((rules > 20))
  [[ ! -e out ]] || fail 'a command was run'
}

# observed WORD…: calls memolock with these words on a store with an entry, and prints everything observable, without
# times and sizes, and without what gc finds of callers without a store, who may be those of another test.
observed() {
  local status=0 store=$XDG_CACHE_HOME/memolock
  rm -rf "$store" report out
  memolock get --tag t --id x --ttl 1h -- echo stored >/dev/null
  {
    memolock "$@" </dev/null 2>&1 || status=$?
    echo "status $status"
    find "$store" report out -type f -printf '%p %m\n' 2>/dev/null | sort
  } | sed -E -e 's/[0-9.]+(ms|[smhdBK]|KiB)?/N/g' -e 's/ and N leftovers?, N \w+//'
}

@test "an option without effect in a call changes nothing" {
  local kind option call with rows=0
  export MEMOLOCK_TAG=t
  while IFS='|' read -r kind option call; do
    [[ $kind == ineffective ]] || continue
    # shellcheck disable=SC2086 # words
    words $call
    # a missing file would be reported
    line=("${line[@]/%=file/=missing}")
    with=$(observed "${line[@]}")
    # shellcheck disable=SC2086
    words ${call/ "$option"/}
    equal "$(observed "${line[@]}")" "$with" || fail "memolock ${line[*]}, with $option"
    ((rows += 1))
  done < <("$HELPERS/option_rules")
  ((rows > 80))
}

# accepts VERB…: asserts that each pair of options of these verbs without a rule is accepted.
accepts() {
  local kind call status wrong=0 pairs=0
  while IFS='|' read -r kind _ call; do
    [[ $kind == accepted && " $* " == *" ${call%% *} "* ]] || continue
    # shellcheck disable=SC2086 # words
    words $call
    status=0
    memolock "${line[@]}" </dev/null >printed 2>&1 || status=$?
    ((status != 125)) || {
      echo "memolock ${line[*]}: $(<printed)" >&2
      wrong=1
    }
    ((pairs += 1))
  done < <("$HELPERS/option_rules")
  ((pairs > 100))
  ((wrong == 0))
}

@test "all other pairs of options of get are accepted" { accepts get; }
@test "all other pairs of options of key are accepted" { accepts key; }
@test "all other pairs of options of once and lock are accepted" { accepts once lock; }
@test "all other pairs of options of set, fail, renew and del are accepted" { accepts set fail renew del; }
@test "all other pairs of options of ls, show, stats, gc and doctor are accepted" { accepts ls show stats gc doctor; }
