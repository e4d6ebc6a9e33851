#!/usr/bin/env bats
# The mark of a run of once, as a file.
# store: local

load ../helpers/common

once() { memolock once --store local --tag t --id x --ttl 1h "$@"; }
mark() { echo "$MEMOLOCK_CACHE_DIR/t/x.mark"; }

@test "a mark that is damaged, truncated or of another id is ignored" {
  once -- true
  cp "$(mark)" whole
  for damage in 's/x/y/g' 's/^memolock/MEMOLOCK/'; do
    sed "$damage" whole >"$(mark)"
    once -- counted true
  done
  ran_times 2
  for size in 0 1 100 "$(($(stat -c %s whole) - 1))"; do
    head -c "$size" whole >"$(mark)"
    once -- counted true
  done
  ran_times 6
  memolock once --store local --tag t --id y --ttl 1h -- true
  cp "$MEMOLOCK_CACHE_DIR/t/y.mark" "$(mark)"
  once -- counted true
  ran_times 7
  once -- counted true
  ran_times 7
}

@test "a damaged mark is reported once, and as a mark" {
  once -- true
  echo junk >"$(mark)"
  run --separate-stderr -0 once -v -- true
  equal 1 "$(grep -c damaged <<<"$stderr")"
  contains "$stderr" 'the mark of once is damaged'
}

@test "another object in place of the mark is ignored, and the run ends with a warning" {
  once -- true
  rm "$(mark)"
  mkdir "$(mark)"
  run --separate-stderr -3 once -- counted sh -c 'exit 3'
  one_own_line "$stderr"
  contains "$stderr" 'the mark was not stored'
  ran_times 1
  rmdir "$(mark)"
  store_is_clean
}

@test "if the store is removed during the run, there is a warning and the status is passed on" {
  run --separate-stderr -3 once -- sh -c 'rm -r "$MEMOLOCK_CACHE_DIR"; exit 3'
  one_own_line "$stderr"
  contains "$stderr" 'the mark was not stored'
}

@test "a mark dated in the future is ignored" {
  once -- true
  "$HELPERS/redate" "$(mark)" 3600
  run --separate-stderr -0 once -v -- counted true
  equal 1 "$(grep -c 'the mark is dated in the future; ignored' <<<"$stderr")"
  ran_times 1
}

@test "if the clock was set back during a run, its start is assumed to be no later than its end" {
  once -- true
  "$HELPERS/redate" "$(mark)" -3500 86400
  run --separate-stderr -0 once -v -- counted true
  contains "$stderr" 'started a run 58m'
  ran_times 0
  once --ttl 30m -- counted true
  ran_times 1
}

@test "an expired mark is shown as expired, and replaced" {
  once -- true
  "$HELPERS/redate" "$(mark)" -86401
  equal expired "$(memolock ls | cut -f 3)"
  once -- true
  equal fresh "$(memolock ls | cut -f 3)"
}

@test "lock and once leave no file except the mark" {
  memolock lock --tag t --id x -- true
  store_is_clean
  equal '' "$(ls -A "$MEMOLOCK_CACHE_DIR/t")"
  once -- true
  equal x.mark "$(ls -A "$MEMOLOCK_CACHE_DIR/t")"
}
