#!/usr/bin/env bats
# Each combination of the state of the entry, the state of its lock and the caller's policy: what a call prints, its
# status, its report, how often the command runs, and what is in the store afterwards.
# bats file_tags=slow

load ../helpers/common

locks=(free held dead)
policies=(plain stale on_error refresh run_late stale_late failing bypassed)

# options POLICY: sets the caller's options.
options() {
  case $1 in
    stale) echo --stale 1h ;;
    on_error) echo --stale-if-error 1h ;;
    refresh) echo --refresh ;;
    run_late) echo --on-timeout run ;;
    stale_late) echo --on-timeout stale ;;
    failing) echo --stale-if-error 1h --cache-failures 1h ;;
  esac
}

# store STATE: puts the entry into that state. A server has removed an expired entry; in a directory it is a miss.
store() {
  case $1 in
    absent) ;;
    fresh) memolock get "${entry[@]}" --ttl 1h -- echo old ;;
    stale) memolock get "${entry[@]}" --ttl 1ms --stale 1h -- echo old ;;
    failed) memolock get "${entry[@]}" --ttl 1h --cache-failures 1h -- sh -c 'echo bad; exit 3' || true ;;
    expired)
      memolock get "${entry[@]}" --ttl 1ms -- echo old
      on_redis || "$HELPERS/redate" "$MEMOLOCK_CACHE_DIR/t/$id.entry" -7200
      ;;
  esac >/dev/null
  await is "$(shown "$1")"
}

# shown STATE: what ls shows of it.
shown() {
  case $1 in
    absent) ;;
    expired) on_redis || echo expired ;;
    *) echo "$1" ;;
  esac
}

listed() { memolock ls | awk -v id="$id" '$2 == id { print $3 }'; }
is() { [[ $(listed) == "$1" ]]; }

# lock STATE: starts a holder, or starts one and kills it.
lock() {
  local lease=1m
  case $1 in
    free) return ;;
    dead) lease=300ms ;;
  esac
  spawn "$MEMOLOCK_BIN" get "${entry[@]}" --ttl 1h --refresh --lease $lease -- held "$id" true
  holder=$!
  await test -e "$id.started"
  [[ $1 != dead ]] || bury "$holder"
}

# expected STATE LOCK POLICY: the expected outcome, as "OUTPUT STATUS OUTCOME RUNS LEFT".
expected() {
  local left
  left=$(shown "$1")
  case $3:$1 in
    bypassed:*) echo "new 0 bypass 1 $left" && return ;;
    refresh:*) ;;
    *:fresh) echo "old 0 hit 0 $left" && return ;;
    *:failed) echo "bad 3 hit 0 $left" && return ;;
    stale:stale)
      [[ $2 == held ]] && echo "old 0 stale 0 stale" || echo "old 0 stale 1 fresh"
      return
      ;;
  esac
  [[ $2 == held ]] || {
    case $3:$1 in
      failing:stale) echo 'old 0 stale 1 stale' ;;
      failing:*) echo 'bad 3 miss 1 failed' ;;
      *) echo 'new 0 miss 1 fresh' ;;
    esac
    return
  }
  case $3:$1 in
    run_late:*) echo "new 0 bypass 1 $left" ;;
    on_error:stale | failing:stale | stale_late:stale) echo "old 0 stale 0 $left" ;;
    stale_late:expired) on_redis && echo ' 124 timeout 0 ' || echo "old 0 stale 0 $left" ;;
    *) echo " 124 timeout 0 $left" ;;
  esac
}

# call POLICY LOCK: the actual outcome, without what is left.
call() {
  local command='echo new' wait=30s bypass='' ended=0 output words
  read -ra words <<<"$(options "$1")"
  [[ $1 != failing ]] || command='echo bad; exit 3'
  [[ $1 != bypassed ]] || bypass=1
  [[ $2 != held ]] || wait=20ms
  : >"$RUNS"
  output=$(MEMOLOCK_BYPASS=$bypass memolock get -q "${entry[@]}" --ttl 1h --wait "$wait" "${words[@]}" \
    --report "$id.report" -- counted sh -c "$command") || ended=$?
  echo "$output $ended $(sed 's/.*"outcome":"\([a-z]*\)".*/\1/' "$id.report")"
}

# combine STATE: tests it with all locks and policies.
combine() {
  local lock policy id entry called wrong=0
  for lock in "${locks[@]}"; do
    for policy in "${policies[@]}"; do
      id=$1.$lock.$policy
      entry=(--tag t --id "$id")
      store "$1"
      lock "$lock"
      called=$(call "$policy" "$lock")
      [[ $lock != held ]] || {
        kill -TERM "$holder"
        finish "$holder"
      }
      # background processes end by themselves
      [[ $id != stale.@(free|dead).stale ]] || await is fresh
      equal "$(expected "$1" "$lock" "$policy")" "$called $(runs) $(listed)" \
        || { echo "in: $id" >&2 && wrong=1; }
    done
  done
  ((wrong == 0))
  # files of a dead holder are removed with the next run, or with the entry
  memolock del --all --tag t >/dev/null
  # a background process may still be removing its own
  await store_is_clean
}

@test "an absent entry" { combine absent; }
@test "a fresh entry" { combine fresh; }
@test "a stale entry" { combine stale; }
@test "a stored failure" { combine failed; }
@test "an expired entry" { combine expired; }
