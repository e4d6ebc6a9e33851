#!/usr/bin/env bats
# Tags and ids: what they can contain, and ids derived from the command.

load ../helpers/common

kib=$(printf 'x%.0s' {1..1023})

odd=('a/b' '/' '//' '../../x' '.' '..' '...' '.hidden' 'two words' ' ' $'new\nline' $'\n' $'\t' $'\x1b[31m' $'\xff' $'\xc2\x9b' $'\xc0\xaf'
  '*' '?' '[a]' '~' '~root' '%41' 'A' 'a' '%' '%25' 'ünï' '日本語' '-' '--' '--id' 'x.entry' 'x.lock' 'x.run' 'x.wake' 'x.control'
  '$HOME' '`id`' "'" '"' '\' ':' '{x}' 'a:b' 'CON' "${kib}a" "${kib}b")

@test "ids with unusual characters are separate entries, and nothing outside the store is touched" {
  for i in "${!odd[@]}"; do
    equal "$i" "$(memolock get --tag t "--id=${odd[i]}" --ttl 1h -- echo "$i")"
  done
  for i in "${!odd[@]}"; do
    equal "$i" "$(memolock get --tag t "--id=${odd[i]}")"
  done
  equal "${#odd[@]}" "$(memolock ls | wc -l)"
  store_is_clean
  equal $'home\nruns' "$(ls --ignore=store)"
  equal "${#odd[@]}" "$(memolock del --all --tag t)"
  equal '' "$(memolock ls)"
}

@test "ids with unusual characters reach the command unchanged" {
  for id in "${odd[@]}"; do
    memolock get --tag t "--id=$id" --ttl 1h -- sh -c 'printf %s "$MEMOLOCK_RUN_ID"' >got
    printf %s "$id" | cmp - got
  done
}

# bats test_tags=slow
@test "ids with unusual characters can be deleted one by one" {
  for id in "${odd[@]}"; do
    memolock get --tag t "--id=$id" --ttl 1h -- true
    equal 1 "$(memolock del --tag t "--id=$id")"
    run -1 memolock get --tag t "--id=$id"
  done
}

@test "tags with unusual characters are separate, and nothing outside the store is touched" {
  tags=('a/b' '/' '../../x' '.' '..' '.hidden' 'two words' '*' '?' '[a]' '\' '~' '%41' 'A' 'a' 'ünï' $'\xff' $'\xc2\x9b' '-' '--'
    '--tag' '$HOME' 'lock' 'x/locks' "${kib}a" "${kib}b")
  for i in "${!tags[@]}"; do
    equal "$i" "$(memolock get "--tag=${tags[i]}" --id x --ttl 1h -- echo "$i")"
  done
  for i in "${!tags[@]}"; do
    equal "$i" "$(memolock get "--tag=${tags[i]}" --id x)"
  done
  equal "${#tags[@]}" "$(memolock ls | wc -l)"
  equal $'home\nruns' "$(ls --ignore=store)"
  for tag in "${tags[@]}"; do equal 1 "$(memolock del --all "--tag=$tag")"; done
}

@test "tags that could be confused with other keys are refused" {
  for tag in '' a:b '{a' 'a}' $'a\nb' $'\x1b' a/lock a/notif a/meta a/files a/run a/part a/fail "${kib}xx"; do
    refused --tag memolock get "--tag=$tag" --id x --ttl 1h -- true
  done
  refused --tag memolock ls --tag a:b
  refused --tag memolock del --tag a:b --id x
}

@test "an id that is empty or longer than 1 KiB is refused" {
  refused --id memolock get --tag t --id '' --ttl 1h -- true
  refused --id memolock get --tag t --id "${kib}xx" --ttl 1h -- true
  refused --id memolock del --tag t --id ''
}

@test "without --id the id is derived from the words of the command" {
  equal 1 "$(memolock get --tag t --ttl 1h -- echo 1)"
  equal 2 "$(memolock get --tag t --ttl 1h -- echo 2)"
  memolock get --tag t --ttl 1h -- counted echo same >/dev/null
  memolock get --tag t --ttl 1h -- counted echo same >/dev/null
  ran_times 1
}

@test "the boundaries between the words are part of a derived id" {
  for words in 'ab c' 'a bc' 'abc' 'a b c'; do
    # shellcheck disable=SC2086 # words
    memolock get --tag t --ttl 1h -- counted echo $words >/dev/null
  done
  memolock get --tag t --ttl 1h -- counted echo 'ab c' >/dev/null
  memolock get --tag t --ttl 1h -- counted echo abc '' >/dev/null
  ran_times 6
}

@test "the working directory is part of a derived id" {
  mkdir one two
  (cd one && memolock get --tag t --ttl 1h -- counted pwd)
  (cd two && memolock get --tag t --ttl 1h -- counted pwd)
  equal "$PWD/one" "$(cd one && memolock get --tag t --ttl 1h -- counted pwd)"
  ran_times 2
}

@test "the working directory is not part of a given id" {
  mkdir one
  get -- counted true
  (cd one && get -- counted true)
  ran_times 1
}

@test "ttl and other options are not part of a derived id, and tags are separate" {
  memolock get --tag t --ttl 1h -- counted true
  memolock get --tag t --ttl 2h --wait 1s -q -- counted true
  ran_times 1
  memolock get --tag u --ttl 1h -- counted true
  ran_times 2
}

@test "a derived id begins with the name of the command, for readers of ls" {
  memolock get --tag t --ttl 1h -- /bin/echo 1
  contains "$(memolock ls)" $'t\techo-'
}

@test "a derived id requires an existing working directory" {
  mkdir gone
  cd gone
  rmdir ../gone
  run --separate-stderr -125 memolock key -- true
  one_own_line "$stderr"
  run --separate-stderr -0 get -- true
}
