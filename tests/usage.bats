#!/usr/bin/env bats
# Errors of usage: 125, and one line that says what is wrong and with what.
# store: any

load helpers/common

@test "a missing or unknown verb is refused" {
  refused verb memolock
  refused frobnicate memolock frobnicate
  refused 'verb' memolock ''
  refused -x memolock -x
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

@test "an unknown option before others is refused, and nothing of the line is run" {
  refused --bogus memolock get --bogus --id x --ttl 1h -- counted true
  refused --bogus memolock get --tag t --bogus --id counted --ttl 1h
  refused --bogus memolock get --id x --bogus counted --ttl 1h true
  refused --bogus memolock get --id x --ttl 1h --bogus=1 counted --tag t -- true
  refused -Z memolock get -Z --id x --ttl 1h counted true
  ran_times 0
}

@test "an option of which the command has one by the same name stays the command's" {
  run -0 get -- echo --id y --bogus
  equal '--id y --bogus' "$output"
  run -0 memolock get --tag t --id z --ttl 1h echo --id y --bogus --ttl 2h -v
  equal '--id y --bogus --ttl 2h -v' "$output"
}

@test "an empty value is a value" {
  refused --tag memolock get --tag= --id x --ttl 1h -- counted true
  refused --id memolock get --tag t --id= --ttl 1h -- counted true
  refused --ttl memolock get --tag t --id x --ttl= -- counted true
  refused --id memolock get --tag t --ttl 1h --id= counted true
  refused --id memolock del --tag t --id= --dry-run
  refused --tag memolock del --tag= --id x
  ran_times 0
}

@test "an option without its value is refused" {
  for option in --tag --id --ttl --wait --drain --store --report --max-entry --max-runtime; do
    refused "$option" memolock get $option
  done
  refused '--tag: 1 required TAG missing' memolock get --tag
}

@test "the help of a verb has a line for each option, whose text begins at column 33" {
  run -0 memolock get --help
  for line in '  -h,--help                     this text' \
    '  --tag TAG                     the family of resources (default: default)' \
    $'  --sentinel-password-file FILE the sentinels\' password is the first line of FILE'; do
    grep -qxF -- "$line" <<<"$output" || fail "no line '$line'"
  done
  equal '' "$(sed '1,/^Options:/d' <<<"$output" | grep -vE '^(  -[^ ].{28}| {32})[^ ]')"
}

@test "a flag with a value that is none is refused" {
  run --separate-stderr memolock get --tag t --id x --ttl 1h --refresh=perhaps -- true
  equal 125 "$status"
  one_own_line "$stderr"
}

@test "a choice that is none is refused, and the choices are named" {
  refused share get --on-failure never -- true
  refused stale get --on-timeout never -- true
  refused fail get --on-store-error never -- true
}

@test "a command without --ttl is refused" {
  refused --ttl memolock get --tag t --id x -- counted true
  ran_times 0
}

@test "nothing to look up is refused" {
  refused --id memolock get --tag t
  refused --id memolock get --tag t --
}

@test "a command without a name is refused" {
  refused empty get -- ''
}

@test "a store that is none is refused, whatever --on-store-error says" {
  for store in nonsense nonsense://x file://relative file:// 'file:///%zz' 'file:///a%00b'; do
    refused --store get --store "$store" -- counted true
    refused --store get --store "$store" --on-store-error run -- counted true
    refused --store memolock ls --store "$store"
  done
  ran_times 0
}

@test "a wait, a limit and a runtime that are none are refused" {
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

@test "del --all needs a tag on the command line" {
  refused --tag memolock del --all
  MEMOLOCK_TAG=t refused --tag memolock del --all
}

@test "arguments that nobody asked for are refused" {
  refused extra memolock ls extra
  refused extra memolock del --tag t --id x extra
}

@test "a usage error takes no lock and leaves nothing" {
  refused --ttl memolock get --tag t --id x -- true
  store_is_untouched
}

@test "an option of another verb is refused" {
  refused --ttl memolock ls --ttl 1h
  refused --all memolock get --all --id x
  refused --dry-run memolock ls --dry-run
}
