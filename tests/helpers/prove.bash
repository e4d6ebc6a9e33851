# Callers at work while something happens, and whether all went well: `load helpers/prove`, after common.
# shellcheck shell=bash disable=SC2034 # what is set here is the tests'

prove=$helpers/../prove
# How long the callers of a test are at work.
prove_seconds=${MEMOLOCK_PROVE_SECONDS:-8}

# begin_load [OPTION…]: callers begin their work, with the options of prove/load, started by $load_within if
# there is anything. Their ids are i0.$load_name to i9.$load_name; $sockets are the servers that are searched in
# the end.
begin_load() {
  ! is_sanitized || set -- --callers 20 "$@" # who take many times longer
  : >history
  load_name=$$.$BATS_TEST_NUMBER
  spawn "${load_within[@]}" "$prove/load" history --name "$load_name" --seconds "$prove_seconds" \
    --sockets "$(IFS=, && echo "${sockets[*]-}")" "$@" >load.out 2>&1
  load_pid=$!
  await has_called
}
load_within=()
has_called() { grep -q '"event": "call"' history || is_gone "$load_pid"; }

# end_load: they have ended, and all went well. How it went is shown when they were at work for long.
end_load() {
  finish "$load_pid"
  ((status == 0)) || fail "$(<load.out)" || return
  "$prove/check" history >summary || fail "$(<summary)" || return
  [[ -z ${MEMOLOCK_PROVE_SECONDS-} ]] || sed 's/^/# /' summary >&3
}

# fault WHAT, heal: something begins to happen to the store, and is over; see prove/history.py.
fault() { echo "{\"event\":\"fault\",\"what\":\"$1\",\"time\":$(boot_time)}" >>history; }
heal() { echo "{\"event\":\"heal\",\"time\":$(boot_time)}" >>history; }
boot_time() { cut -d ' ' -f 1 /proc/uptime; }

# part OF TOTAL: sleeps for so many parts of the time that the callers are at work.
part() { sleep "$(awk -v of="$1" -v total="$2" -v all="$prove_seconds" 'BEGIN { print all * of / total }')"; }
