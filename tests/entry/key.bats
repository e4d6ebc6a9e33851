#!/usr/bin/env bats
# Tags and ids: what they may hold, and ids derived from the command.

load ../helpers/common

kib=$(printf 'x%.0s' {1..1023})

odd=('a/b' '/' '//' '../../x' '.' '..' '...' '.hidden' 'two words' ' ' $'new\nline' $'\n' $'\t' $'\x1b[31m' $'\xff' $'\xc2\x9b' $'\xc0\xaf'
  '*' '?' '[a]' '~' '~root' '%41' 'A' 'a' '%' '%25' 'ünï' '日本語' '-' '--' '--id' 'x.entry' 'x.lock' 'x.run' 'x.wake' 'x.control'
  '$HOME' '`id`' "'" '"' '\' ':' '{x}' 'a:b' 'CON' "${kib}a" "${kib}b")

@test "odd ids are entries of their own, and nothing outside the store is touched" {
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

@test "odd ids reach the command as they are" {
  for id in "${odd[@]}"; do
    memolock get --tag t "--id=$id" --ttl 1h -- sh -c 'printf %s "$MEMOLOCK_RUN_ID"' >got
    printf %s "$id" | cmp - got
  done
}

# bats test_tags=slow
@test "odd ids can be deleted one by one" {
  for id in "${odd[@]}"; do
    memolock get --tag t "--id=$id" --ttl 1h -- true
    equal 1 "$(memolock del --tag t "--id=$id")"
    run -1 memolock get --tag t "--id=$id"
  done
}

@test "odd tags are families of their own, and nothing outside the store is touched" {
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

@test "tags that other keys could be taken for are refused" {
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

@test "without --id the command's words make the id" {
  equal 1 "$(memolock get --tag t --ttl 1h -- echo 1)"
  equal 2 "$(memolock get --tag t --ttl 1h -- echo 2)"
  memolock get --tag t --ttl 1h -- counted echo same >/dev/null
  memolock get --tag t --ttl 1h -- counted echo same >/dev/null
  ran_times 1
}

@test "the borders between the words count" {
  for words in 'ab c' 'a bc' 'abc' 'a b c'; do
    # shellcheck disable=SC2086 # words
    memolock get --tag t --ttl 1h -- counted echo $words >/dev/null
  done
  memolock get --tag t --ttl 1h -- counted echo 'ab c' >/dev/null
  memolock get --tag t --ttl 1h -- counted echo abc '' >/dev/null
  ran_times 6
}

@test "the working directory counts for a derived id" {
  mkdir one two
  (cd one && memolock get --tag t --ttl 1h -- counted pwd)
  (cd two && memolock get --tag t --ttl 1h -- counted pwd)
  equal "$PWD/one" "$(cd one && memolock get --tag t --ttl 1h -- counted pwd)"
  ran_times 2
}

@test "the working directory does not count for a given id" {
  mkdir one
  get -- counted true
  (cd one && get -- counted true)
  ran_times 1
}

@test "ttl and other options do not count for a derived id, the tag does" {
  memolock get --tag t --ttl 1h -- counted true
  memolock get --tag t --ttl 2h --wait 1s -q -- counted true
  ran_times 1
  memolock get --tag u --ttl 1h -- counted true
  ran_times 2
}

@test "a derived id begins with the command's name, for people who read ls" {
  memolock get --tag t --ttl 1h -- /bin/echo 1
  contains "$(memolock ls)" $'t\techo-'
}

@test "a derived id needs a working directory that exists" {
  mkdir gone
  cd gone
  rmdir ../gone
  run --separate-stderr -125 memolock key -- true
  one_own_line "$stderr"
  run --separate-stderr -0 get -- true
}
