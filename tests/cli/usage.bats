#!/usr/bin/env bats
# Errors of usage: status 125 and one line that says what is wrong.
# store: any

load ../helpers/common

@test "a missing or unknown verb is refused" {
  refused verb memolock
  refused frobnicate memolock frobnicate
  refused 'verb' memolock ''
  refused -x memolock -x
}

@test "an option before the verb is named, and what could be its value is not shown" {
  local before
  for before in '--token secret set' '--token=secret set' '--token secret' '--tkn secret set' '--tkn=secret'; do
    # shellcheck disable=SC2086
    refused "${before%%[ =]*}'" memolock $before
    lacks "$stderr" secret
  done
  refused "'--tag' must follow a verb" memolock --tag q get
  refused "'-q' must follow the verb get" memolock -q -v get
  refused "unknown verb 'nosuch'" memolock -q nosuch
  refused "unknown option '--bogus'" memolock get --bogus=secret
  lacks "$stderr" secret
}

@test "a missing value is that of the option that is named" {
  refused '--id requires a value' memolock del --id a --id
  refused '--ttl requires a value' memolock get --tag a --tag b --ttl
}

@test "a verb with control characters is shown escaped" {
  refused 'a\nb' memolock $'a\nb'
}

@test "an unknown option is refused" {
  for verb in get del ls; do
    refused --bogus memolock $verb --bogus
    refused --bogus memolock $verb --bogus=1
  done
  refused --bogus get --bogus -- counted true
  refused -Z get -Z -- counted true
  ran_times 0
}

@test "an unknown option before others is refused, and nothing runs" {
  refused --bogus memolock get --bogus --id x --ttl 1h -- counted true
  refused --bogus memolock get --tag t --bogus --id counted --ttl 1h
  refused --bogus memolock get --id x --bogus counted --ttl 1h true
  refused --bogus memolock get --id x --ttl 1h --bogus=1 counted --tag t -- true
  refused -Z memolock get -Z --id x --ttl 1h counted true
  ran_times 0
}

@test "an option after the command belongs to the command, even if memolock has one of the same name" {
  run -0 get -- echo --id y --bogus
  equal '--id y --bogus' "$output"
  run -0 memolock get --tag t --id z --ttl 1h echo --id y --bogus --ttl 2h -v
  equal '--id y --bogus --ttl 2h -v' "$output"
}

@test "an empty value is accepted as a value" {
  refused --tag memolock get --tag= --id x --ttl 1h -- counted true
  refused --id memolock get --tag t --id= --ttl 1h -- counted true
  refused --ttl memolock get --tag t --id x --ttl= -- counted true
  refused --id memolock get --tag t --ttl 1h --id= counted true
  refused --id memolock del --tag t --id= --dry-run
  refused --tag memolock del --tag= --id x
  ran_times 0
}

@test "a value of control characters is not treated as empty" {
  for id in $'\x01' $'\x01\x02\x7f'; do
    run --separate-stderr -0 memolock get -v --tag t "--id=$id" --ttl 1h -- echo "a run"
    equal 'a run' "$output"
    contains "$stderr" 't:\x01'
    equal 'a run' "$(memolock get --tag t --id "$id")"
    equal "$id" "$(memolock key --id "$id")"
  done
  refused 'control characters' memolock get --tag $'\x01' --id x --ttl 1h -- counted true
  refused 'cannot read \x01' memolock get --key-file $'\x01' --id x --ttl 1h -- counted true
  refused "'\x01' is not a store; write local" memolock get --store $'\x01' --id x --ttl 1h -- counted true
  equal "$(memolock key --id x --key-env $'\x01')" "$(env $'\x02=' "$MEMOLOCK_BIN" key --id x --key-env $'\x01')"
  ran_times 0
}

@test "an exit status is a number from 0 to 255, without a unit or a fraction" {
  for value in 0.1K 1K 1B 3.0 -1 +1 256 99999999999999999999 0x10 '' ' 3' ten; do
    refused "--skip-status: '$value' is not an exit status from 0 to 255" \
      memolock once --store local --id x --ttl 1h "--skip-status=$value" -- counted true
    refused "--status: '$value' is not an exit status from 1 to 255" memolock fail --id x "--status=$value"
  done
  refused 'from 1 to 255' memolock fail --id x --status 0
  ran_times 0
}

@test "- is refused as a file name, and ./- is accepted" {
  for option in --report --key-file --artifact --password-file --sentinel-password-file --tls-ca --tls-cert --tls-key; do
    refused "$option: '-' is ambiguous" memolock get --id x --ttl 1h $option - -- counted true
    contains "$stderr" './-'
    refused "$option: '-' is ambiguous" memolock get --id x --ttl 1h $option=- -- counted true
  done
  MEMOLOCK_REPORT=- refused 'MEMOLOCK_REPORT: ' memolock get --id x --ttl 1h -- counted true
  refused --key-stdin memolock get --id x --ttl 1h --key-file - -- counted true
  refused /dev/stdout memolock get --id x --ttl 1h --report - -- counted true
  refused /dev/stdin memolock ls --password-file -
  [[ ! -e - ]]
  ran_times 0
  get --report ./- -- true
  [[ -s - ]]
  run -0 memolock get --id y --ttl 1h --key-file ./- -- true
}

@test "a word after a flag that could be meant as its value is refused as a command" {
  refused 'write --early=2' get --early 2 -- counted true
  refused 'write --early=0.5' get --early 0.5 counted true
  refused 'write --early=on' get --early on -- counted true
  refused 'write --refresh=1' get --refresh 1 -- counted true
  refused 'write --refresh=FALSE' get --refresh FALSE -- counted true
  refused 'write --key-cwd=0' memolock key --key-cwd 0 counted true
  ran_times 0
}

@test "any other word after a flag is the command" {
  run -0 get --refresh true -v
  run -0 get --refresh -- true -- x
  run -0 get --early --refresh echo -- 1
  equal '-- 1' "$output"
  memolock del --tag t --id x
  run -127 get --refresh 2 -- true
  run -127 get --early -- 2
  run -127 get --early=2 2 -- true
  run -127 get --early --wait 1s 2 -- true
}

@test "an option without its value is refused" {
  for option in --tag --id --ttl --wait --drain --store --report --max-entry --max-runtime; do
    refused "$option" memolock get $option
  done
  refused '--tag requires a value' memolock get --tag
}

@test "the help of a verb has a line for each option, with its text from column 33" {
  run -0 memolock get --help
  for line in '  -h,--help                     show this help' \
    '  --tag TAG                     tag of the entry (default: default)' \
    $'  --sentinel-password-file FILE the sentinels\' password is the first line of FILE'; do
    grep -qxF -- "$line" <<<"$output" || fail "no line '$line'"
  done
  equal '' "$(sed '1,/^Options:/d' <<<"$output" | grep -vE '^(  -[^ ].{28}| {32})[^ ]')"
}

@test "the help of a verb shows the defaults of that verb" {
  help_has() {
    run -0 memolock "$1" --help
    grep -qxF -- "$2" <<<"$output" || fail "$1 --help has no line '$2'"
  }
  for verb in get key once lock del show doctor; do
    help_has $verb '  --tag TAG                     tag of the entry (default: default)'
  done
  for verb in ls stats; do
    help_has $verb '  --tag TAG                     show only this tag (default: all tags)'
  done
  for verb in set fail renew; do
    help_has $verb '  --tag TAG                     tag of the entry (default: MEMOLOCK_RUN_TAG, else default)'
    help_has $verb '  --id ID                       id of the entry (default: MEMOLOCK_RUN_ID)'
  done
  for verb in get key; do
    help_has $verb '  --id ID                       id of the entry (default: derived from the command and the working directory)'
  done
  for verb in once lock show; do help_has $verb '  --id ID                       id of the entry; required'; done
  help_has del '  --id ID                       id of an entry; repeatable'
  help_has renew '  --lease DURATION              make the promise last this long from now (default: its own lease)'
  for verb in once lock; do
    help_has $verb '  --lease DURATION              how long a lock on a server lasts unless it is renewed (default: 1m)'
  done
  help_has get '  --wait DURATION               longest wait for a holder and the store (default: forever; without COMMAND: do not wait)'
}

@test "an invalid value of a flag is refused" {
  run --separate-stderr memolock get --tag t --id x --ttl 1h --refresh=perhaps -- true
  equal 125 "$status"
  one_own_line "$stderr"
}

@test "an invalid choice is refused, and the choices are named" {
  refused share get --on-failure never -- true
  refused stale get --on-timeout never -- true
  refused fail get --on-store-error never -- true
}

@test "a command without --ttl is refused" {
  refused --ttl memolock get --tag t --id x -- counted true
  ran_times 0
}

@test "a look-up without an id or a command is refused" {
  refused --id memolock get --tag t
  refused --id memolock get --tag t --
}

@test "an empty command name is refused" {
  refused empty get -- ''
}

@test "an invalid store is refused, whatever --on-store-error says" {
  for store in nonsense nonsense://x file://relative file:// 'file:///%zz' 'file:///a%00b'; do
    refused --store get --store "$store" -- counted true
    refused --store get --store "$store" --on-store-error run -- counted true
    refused --store memolock ls --store "$store"
  done
  ran_times 0
}

@test "an invalid wait, limit or runtime is refused" {
  for option in --wait --max-runtime --drain --ttl --max-entry; do
    refused $option get $option=nonsense -- counted true
  done
  ran_times 0
}

@test "del without ids, or with ids and --all, is refused" {
  refused --id memolock del
  refused --id memolock del --tag t
  refused --all memolock del --all --tag t --id x
}

@test "del --all requires a tag on the command line" {
  refused --tag memolock del --all
  MEMOLOCK_TAG=t refused --tag memolock del --all
}

@test "unexpected arguments are refused" {
  refused extra memolock ls extra
  refused extra memolock del --tag t --id x extra
}

@test "a usage error takes no lock and leaves nothing behind" {
  refused --ttl memolock get --tag t --id x -- true
  store_is_untouched
}

@test "an option of another verb is refused" {
  refused --ttl memolock ls --ttl 1h
  refused --all memolock get --all --id x
  refused --dry-run memolock ls --dry-run
}
