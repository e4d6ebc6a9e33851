# Runs callers during faults, and checks what they saw: `load helpers/prove`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

prove=$helpers/../prove
# How long the callers of a test run.
prove_seconds=${MEMOLOCK_PROVE_SECONDS:-8}

# begin_load [OPTION…]: starts callers with tests/prove/load and its options, with the prefix $load_within. Their ids
# are i0.$load_name to i9.$load_name. $sockets are the servers whose data is examined at the end.
begin_load() {
  ! is_sanitized || set -- "$@" --callers 20 # sanitized callers take many times longer
  : >history
  load_name=$$.$BATS_TEST_NUMBER
  spawn "${load_within[@]}" "$prove/load" history --name "$load_name" --seconds "$prove_seconds" \
    --sockets "$(IFS=, && echo "${sockets[*]-}")" "$@" >load.out 2>&1
  load_pid=$!
  await has_called
}
load_within=()
has_called() { grep -q '"event": "call"' history || is_gone "$load_pid"; }

# end_load: waits for the callers and asserts that the check of their history passes. Shows the summary if
# $MEMOLOCK_PROVE_SECONDS is set.
end_load() {
  finish "$load_pid"
  ((status == 0)) || fail "$(<load.out)" || return
  "$prove/check" history >summary || fail "$(<summary)" || return
  [[ -z ${MEMOLOCK_PROVE_SECONDS-} ]] || sed 's/^/# /' summary >&3
}

# fault WHAT, heal: record that a fault of the store begins and ends. See prove/history.py.
fault() { echo "{\"event\":\"fault\",\"what\":\"$1\",\"time\":$(boot_time)}" >>history; }
heal() { echo "{\"event\":\"heal\",\"time\":$(boot_time)}" >>history; }
boot_time() { cut -d ' ' -f 1 /proc/uptime; }

# part OF TOTAL: sleeps for this fraction of the time for which the callers run.
part() { sleep "$(awk -v of="$1" -v total="$2" -v all="$prove_seconds" 'BEGIN { print all * of / total }')"; }
