#!/usr/bin/env bats
# The example crontab under Debian's cron, on several simulated hosts: each has a daemon in namespaces of its own.
# store: any
# bats file_tags=slow

load ../helpers/common

setup_file() { :; }

hosts=(web1 web2 web3)

setup() {
  isolate
  unshare -m -u mount -t tmpfs none /mnt 2>/dev/null || skip 'mounting takes root'
  start_redis
}

# program NAME TEXT: makes a program on all hosts that records its name and host and then does what TEXT says.
program() {
  mkdir -p bin
  printf '#!/bin/sh\necho "%s $(uname -n)" >>%q\n%s\n' "$1" "$PWD/ran" "$2" >"bin/$1"
  chmod 755 "bin/$1"
}

# host NAME: a host with the configuration, the crontab and the programs, and without this machine's cron jobs.
host() {
  mkdir -p "$1/spool/crontabs"
  cp -a /etc "$1/etc"
  rm -rf "$1"/etc/cron.* "$1/etc/crontab"
  mkdir -p "$1/etc/cron.d" "$1/etc/memolock"
  cp config.toml "$1/etc/memolock/"
  install -m 600 table "$1/spool/crontabs/root"
  # shellcheck disable=SC2016
  spawn unshare -m -u sh -ec '
    hostname "$1"
    mount --bind "$1/etc" /etc
    mount --bind "$1/spool" /var/spool/cron
    mount --bind bin /usr/local/bin
    mount -t tmpfs none /run
    exec /usr/sbin/cron -f' - "$1" >"$1/log" 2>&1
}

# runs_of NAME: where this command ran, one line per run.
runs_of() { sed -n "s/^$1 //p" ran | sort; }

# calls OUTCOME ID: the number of calls that ended like that.
calls() { grep "\"outcome\":\"$1\"" report | grep -c "\"id\":\"$2\""; }

all_have_called() { (($(grep -c . report) == 4 * ${#hosts[@]})); }

@test "on several hosts, each once job runs on one host, and a lock job on all, one at a time" {
  # all jobs are due in the next minute
  sed -E 's/^[0-9*]\S*( +\S+){4} /* * * * * /' "$BATS_TEST_DIRNAME/../../examples/crontab" >table
  equal 4 "$(grep -c '^\* \* \* \* \* ' table)"
  printf '%s = "%s"\n' store "redis://127.0.0.1:$REDIS_PORT" store-timeout 30s report "$PWD/report" >config.toml
  program backup-db "env >$PWD/environment; sleep 0.5"
  program sync-mirror 'exit 3'
  program make-report :
  program upgrade-host "mkdir $PWD/upgrading || exit; sleep 0.2; rmdir $PWD/upgrading; echo done >>$PWD/upgraded"
  cp "$MEMOLOCK_BIN" bin/memolock
  : >report
  # all daemons must be running before the next minute
  early() { (($(date +%-S) < 40)); }
  await early
  for name in "${hosts[@]}"; do host "$name"; done
  patience=90 await all_have_called
  for job in backup-db sync-mirror make-report; do equal "$job 1" "$job $(runs_of $job | wc -l)"; done
  for id in backup sync report; do
    equal "$id: 1 ran, 2 skipped" "$id: $(calls ran $id) ran, $(calls skipped $id) skipped"
  done
  equal "${hosts[*]}" "$(runs_of upgrade-host | paste -sd ' ')"
  equal 3 "$(wc -l <upgraded)"
  equal 0 "$(grep -cE '^(BATS_|XDG_|REDIS_)' environment)"
  # ls shows who ran each job
  equal "$(runs_of backup-db)" "$(memolock ls --store "redis://127.0.0.1:$REDIS_PORT" | awk '$2 == "backup" { print $7 }' | sed 's/:.*//')"
  equal failed "$(memolock ls --store "redis://127.0.0.1:$REDIS_PORT" | awk '$2 == "sync" { print $3 }')"
}
