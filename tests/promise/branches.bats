#!/usr/bin/env bats
# Every branch of the protocol of get, lock and once, on a store in memory and without processes: what a call does,
# step by step. helpers/protocol_branches.cpp describes the arguments, helpers/memory_store.hpp the answers.
# store: any

load ../helpers/common

setup() {
  isolate
  echo artifact >there
}

# steps VERB ARGUMENT…: a call takes the steps on stdin, and no others.
steps() {
  run -0 "$HELPERS/protocol_branches" "$@"
  # the reason is in the words of libarchive
  equal "$(cat)" "$(sed -E 's/(the stored artifacts are damaged): [^;]*/\1/' <<<"$output")"
}

# ---- the look-up ----

@test "a fresh entry is replayed" {
  steps get 'look up=fresh' <<'END'
look up: fresh
> t:x: hit, 10s old, took 2s
replay fresh
hit 0
END
}

@test "a miss runs the command, publishes the result, releases stdout and waits for the readers, in this order" {
  steps get <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a damaged entry is a miss" {
  steps get 'look up=damaged' <<'END'
look up: damaged
> t:x: the stored entry is damaged; treated as a miss
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "an entry larger than --max-entry is a miss" {
  steps get 'look up=large' --max-entry=9 <<'END'
look up: large
> t:x: the entry is larger than --max-entry (9 B); treated as a miss
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "an entry of another program is fresh" {
  steps get 'look up=fresh+foreign' <<'END'
look up: fresh+foreign
> t:x: hit, another program's, took 2s
replay fresh+foreign
hit 0
END
}

@test "an entry dated in the future is a miss" {
  steps get 'look up=later' <<'END'
look up: later
> t:x: the entry is dated in the future, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "an expired entry is a miss" {
  steps get 'look up=expired' <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a stored failure answers, and says for how long it will" {
  steps get 'look up=none' failure=failed --cache-failures=1m <<'END'
look up: none
failure: failed
> t:x: hit, 10s old, took 2s; a failure with status 3, kept for 50s more
replay failed
hit 3
END
}

@test "a stored failure that is damaged does not answer" {
  steps get failure=failed+damaged <<'END'
look up: none
failure: failed+damaged
> t:x: the stored failure is damaged; treated as a miss
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a stored failure dated in the future does not answer" {
  steps get failure=failed+later <<'END'
look up: none
failure: failed+later
> t:x: the stored failure is dated in the future; treated as absent
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a stored failure of another program does not answer" {
  steps get failure=failed+foreign <<'END'
look up: none
failure: failed+foreign
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a look-up of nothing is absent" {
  steps get --look-up <<'END'
look up: none
watch: none
> t:x: absent
absent 1
END
}

@test "a look-up does not refresh a stale entry" {
  steps get --look-up --stale=1m 'look up=expired' <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a store error of the look-up ends the call" {
  steps get 'look up=error' <<'END'
look up: error
error: look up failed
END
}

@test "a signal during the look-up is an interruption" {
  steps get 'look up=interrupt' <<'END'
look up: interrupt
error: interrupted
END
}

# ---- the second look-up, under the lock ----

@test "an entry stored before the lock was acquired is found under the lock" {
  steps get 'look up=none,fresh' changed-since-look-up=yes <<'END'
look up: none
acquire: free
renew
look up: fresh
abandon
> t:x: hit, 10s old, took 2s
replay fresh
hit 0
END
}

@test "no entry under the lock is a miss" {
  steps get 'look up=none,none' changed-since-look-up=yes <<'END'
look up: none
acquire: free
renew
look up: none
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "under the lock it may be too soon to run the command again" {
  steps get 'look up=none,expired' changed-since-look-up=yes failure=none,failed+killed --stale=1m <<'END'
look up: none
acquire: free
renew
look up: expired
> t:x: the entry is 10s old, and not fresh enough
failure: failed+killed
> t:x: too soon to run the command again: it was ended by signal KILL (9)
abandon
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a stale entry found under the lock does not keep the command from running" {
  steps get 'look up=none,expired' changed-since-look-up=yes --stale=1m <<'END'
look up: none
acquire: free
renew
look up: expired
> t:x: the entry is 10s old, and not fresh enough
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a store that cannot lock ends the call" {
  steps get lock=fails <<'END'
look up: none
acquire: fails
error: acquire failed
END
}

# ---- stale entries and refreshes ----

@test "a stale entry is served, and the caller does not run the command" {
  steps get 'look up=expired' --stale=1m <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: caller
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a stale entry that is damaged is not served" {
  steps get 'look up=expired+damaged' --stale=1m <<'END'
look up: expired+damaged
> t:x: the entry is 10s old, and not fresh enough
> t:x: the stored entry is damaged; treated as a miss
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "the background process runs the command under the lock" {
  steps get 'look up=expired' --stale=1m role=background <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
background 0
END
}

@test "the background process looks up once more" {
  steps get 'look up=expired,fresh' --stale=1m role=background changed-since-look-up=yes <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: free
renew
look up: fresh
abandon
background 0
END
}

@test "the background process runs the command if the second look-up finds the same" {
  steps get 'look up=expired' --stale=1m role=background changed-since-look-up=yes <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: free
renew
look up: expired
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
background 0
END
}

@test "the background process ends if another one holds the lock" {
  steps get 'look up=expired' --stale=1m role=background lock=held <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: held
background 0
END
}

@test "the background process says nothing of a store error" {
  steps get 'look up=expired' --stale=1m role=background lock=fails <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: fails
background 0
END
}

@test "a failed refresh keeps others from trying again for a lease" {
  steps get 'look up=expired' --stale=1m role=background command=3 <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: free
begin: ok
> t:x: running the command
start spooled
publish failed, status 3, retained 1m: done
release stdout
drain for forever
> t:x: the command exited with status 3; kept for 0ms
background 0
END
}

@test "a stale entry is not refreshed while the lock is held" {
  steps get 'look up=expired' --stale=1m 'is locked=yes' <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: yes
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a stale entry is served though the store fails to say whether it is locked" {
  steps get 'look up=expired' --stale=1m 'is locked=error' <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: error
> is locked failed
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a signal in that moment is an interruption" {
  steps get 'look up=expired' --stale=1m 'is locked=interrupt' <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: interrupt
error: interrupted
END
}

@test "a command that refers to a descriptor runs in the foreground" {
  steps get 'look up=expired' --stale=1m --word=/dev/fd/63 <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "so it does with the other name of a descriptor" {
  steps get 'look up=expired' --stale=1m --word=a=/proc/self/fd/4 <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a standard stream is not such a descriptor" {
  steps get 'look up=expired' --stale=1m --word=/dev/fd/1 <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: caller
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a refresh that stores nothing does not need the control file" {
  steps get 'look up=expired' --stale=1m --no-keep role=background <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: background
acquire: free
begin: ok
start spooled
publish shared, status 0, retained 2m: done
release stdout
drain for forever
background 0
END
}

@test "after a failed refresh a stale entry is served without another one" {
  steps get 'look up=expired' --stale=1m failure=failed+killed <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
failure: failed+killed
> t:x: too soon to run the command again: it was ended by signal KILL (9)
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "when that failure is old enough the entry is refreshed again" {
  steps get 'look up=expired' --stale=1m failure=failed+expired <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
failure: failed+expired
end wait limit
is locked: no
daemonize: caller
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "a refresh with a ttl of 0 does not need the control file" {
  steps get 'look up=expired' --stale=1m --ttl=0 <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
end wait limit
is locked: no
daemonize: caller
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

# ---- early refreshes ----

@test "an entry that is due is refreshed by one caller" {
  steps get 'look up=fresh' --early=1000000000 <<'END'
look up: fresh
> t:x: 10s old, and refreshed before it expires
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "while that one holds the lock the others use the entry" {
  steps get 'look up=fresh' --early=1000000000 lock=held <<'END'
look up: fresh
> t:x: 10s old, and refreshed before it expires
acquire: held
> t:x: hit, 10s old, took 2s
replay fresh
hit 0
END
}

@test "an entry that is not due is replayed" {
  steps get 'look up=fresh' --early=0.000000001 <<'END'
look up: fresh
> t:x: hit, 10s old, took 2s
replay fresh
hit 0
END
}

@test "the choice holds for the entry that it was made for, found again under the lock" {
  steps get 'look up=fresh' --early=1000000000 changed-since-look-up=yes <<'END'
look up: fresh
> t:x: 10s old, and refreshed before it expires
acquire: free
renew
look up: fresh
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "the choice does not hold for another entry, found under the lock" {
  steps get 'look up=fresh,fresh+own' --early=1000000000 changed-since-look-up=yes <<'END'
look up: fresh
> t:x: 10s old, and refreshed before it expires
acquire: free
renew
look up: fresh+own
abandon
> t:x: hit, 10s old, took 2s
replay fresh+own
hit 0
END
}

@test "a look-up never refreshes early" {
  steps get --look-up 'look up=fresh' --early=1000000000 <<'END'
look up: fresh
> t:x: hit, 10s old, took 2s
replay fresh
hit 0
END
}

# ---- waiting ----

@test "a waiter is woken with a success" {
  steps get lock=held watch=fresh wait=fresh <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

@test "a waiter is woken with a failure" {
  steps get lock=held watch=fresh wait=failed <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: failed
> t:x: waited; the run took 2s, status 3
replay failed
waited 3
END
}

@test "a waiter runs the command after the failure of another with --on-failure retry" {
  steps get lock=held,free watch=fresh wait=failed --retry <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: failed
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a waiter runs the command after a transient failure of another, and counts it" {
  steps get lock=held,free watch=fresh wait=killed command=killed <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: killed
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 137, transient failures 2: done
release stdout
drain for forever
> t:x: the command was ended by signal KILL (9); not stored
miss 137
END
}

@test "a second transient failure in a row is shared" {
  steps get lock=held watch=fresh wait=killed+twice <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: killed+twice
> t:x: waited; the run took 2s, status 137
replay killed+twice
waited 137
END
}

@test "a look-up that waits takes the first transient failure" {
  steps get --look-up --wait=1m watch=fresh wait=killed <<'END'
look up: none
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: killed
> t:x: waited; the run took 2s, status 137
replay killed
waited 137
END
}

@test "a waiter serves an older entry in place of a failure with --stale-if-error" {
  steps get lock=held watch=fresh 'look up=expired' --stale-if-error=1m wait=failed <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: failed
> t:x: the command failed with status 3; serving the entry that is 10s old
replay expired
stale 0
END
}

@test "a waiter runs the command without the store if the result could not be shared" {
  steps get lock=held watch=fresh wait=unstored <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: unstored
> t:x: the result could not be shared; running uncached
start plain
bypass 0
END
}

@test "a look-up that waits is absent then" {
  steps get --look-up --wait=1m watch=fresh wait=unstored <<'END'
look up: none
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: unstored
> t:x: the result could not be shared
absent 1
END
}

@test "a waiter starts again if the answer is damaged" {
  steps get lock=held,free watch=fresh wait=damaged <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: damaged
> t:x: the stored entry is damaged; treated as a miss
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "with --refresh a run that began before the call does not answer a waiter" {
  steps get lock=held,free watch=fresh wait=fresh --refresh <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: fresh
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "with --refresh a run that began after the call answers a waiter" {
  steps get lock=held watch=fresh wait=later --refresh <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: later
> t:x: waited; the run took 2s, status 0
replay later
waited 0
END
}

@test "with --refresh an entry from before the call is a miss" {
  steps get 'look up=fresh' --refresh <<'END'
look up: fresh
> t:x: the entry is 10s old, and from before this call (--refresh)
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a waiter takes over from a holder that is gone" {
  steps get lock=held,free watch=fresh wait=gone <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: gone
> t:x: the holder is gone
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a waiter that is interrupted ends by the signal" {
  steps get lock=held watch=fresh wait=interrupted <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: interrupted
interrupted 143, signal 15
END
}

@test "a store error while waiting ends the call" {
  steps get lock=held watch=fresh wait=error <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: error
error: wait failed
END
}

@test "the second look-up of a waiter finds the entry" {
  steps get lock=held watch=fresh 'look up=none,fresh' changed-since-look-up=yes <<'END'
look up: none
acquire: held
watch: fresh
look up: fresh
> t:x: waited, 10s old, took 2s
replay fresh
waited 0
END
}

@test "the second look-up of a waiter finds nothing" {
  steps get lock=held watch=fresh 'look up=none' changed-since-look-up=yes wait=fresh <<'END'
look up: none
acquire: held
watch: fresh
look up: none
> t:x: waiting for host:7, running for 12s
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

@test "a run that was deleted does not answer those who came later" {
  steps get lock=held,free watch=fresh forgotten=yes wait=fresh <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: fresh
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a run that was deleted may still be gone" {
  steps get lock=held,free watch=fresh forgotten=yes wait=gone <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: gone
> t:x: the holder is gone
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a lock without a visible run is tried again" {
  steps get lock=held,held,free watch=none --debug <<'END'
look up: none
acquire: held
watch: none
> t:x: the lock is held, but there is no run to wait for; trying again
look up: none
acquire: held
watch: none
> t:x: the lock is held, but there is no run to wait for; trying again
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a pause ends by a signal" {
  steps get lock=held watch=signal <<'END'
look up: none
acquire: held
watch: signal
interrupted 143, signal 15
END
}

@test "waiting for the run that this process is in is refused" {
  steps get lock=held watch=own --inside <<'END'
look up: none
acquire: held
watch: own
error: deadlock: this command runs inside the run of t:x that it would wait for
END
}

@test "waiting for another run than the one this process is in is not" {
  steps get lock=held watch=fresh --inside wait=fresh <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

@test "a waiter says for whom it waits: a promise" {
  steps get lock=held watch=external wait=fresh <<'END'
look up: none
acquire: held
watch: external
> t:x: waiting for host:7, promised for 12s
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

@test "a waiter says for whom it waits: another program" {
  steps get lock=held watch=foreign wait=fresh <<'END'
look up: none
acquire: held
watch: foreign
> t:x: waiting for another program
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

@test "a look-up that waits is absent when nobody holds the lock" {
  steps get --look-up --wait=1m <<'END'
look up: none
watch: none
is locked: no
> t:x: absent
absent 1
END
}

@test "a look-up waits for a run that is not visible yet" {
  steps get --look-up --wait=1m 'is locked=yes' watch=none,fresh 'look up=none,none,fresh' <<'END'
look up: none
watch: none
is locked: yes
look up: none
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: gone
> t:x: the holder is gone
look up: fresh
> t:x: waited, 10s old, took 2s
replay fresh
waited 0
END
}

@test "a look-up that has waited gives a waiter time to take over from a dead holder" {
  steps get --look-up --wait=1m watch=fresh,none,fresh wait=gone,fresh <<'END'
look up: none
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: gone
> t:x: the holder is gone
look up: none
watch: none
is locked: no
look up: none
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

@test "a look-up that has waited long enough for that is absent" {
  run -0 "$HELPERS/protocol_branches" get --look-up --wait=1m watch=fresh,none wait=gone
  equal "absent 1" "${lines[-1]}"
  equal 17 "$(grep -c 'watch: none' <<<"$output")"
}

@test "that time begins anew with each run that it sees" {
  run -0 "$HELPERS/protocol_branches" get --look-up --wait=1m watch=fresh,none,none,none,none,none,none,none,none,none,none,fresh,none wait=gone
  equal "absent 1" "${lines[-1]}"
  equal 27 "$(grep -c 'watch: none' <<<"$output")"
}

# ---- timeouts ----

@test "a wait that times out ends with 124" {
  steps get lock=held watch=fresh --wait=5s wait=timed-out <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
timeout 124
END
}

@test "a wait of 0 does not wait" {
  steps get lock=held watch=fresh --wait=0 <<'END'
look up: none
acquire: held
watch: fresh
> t:x: timed out after 0ms of waiting for host:7
timeout 124
END
}

@test "a wait of 0 for a run that is not visible names nobody" {
  steps get lock=held --wait=0 <<'END'
look up: none
acquire: held
watch: none
> t:x: timed out after 0ms of waiting for an unknown process
timeout 124
END
}

@test "a wait of 0 for a promise names it" {
  steps get lock=held watch=external --wait=0 <<'END'
look up: none
acquire: held
watch: external
> t:x: timed out after 0ms of waiting for the promise of host:7
timeout 124
END
}

@test "a wait of 0 for the lock of another program says so" {
  steps get lock=held watch=foreign --wait=0 <<'END'
look up: none
acquire: held
watch: foreign
> t:x: timed out after 0ms of waiting for another program
timeout 124
END
}

@test "a wait of 0 ends with 124 with Level::quiet too" {
  steps get lock=held watch=fresh --wait=0 --quiet <<'END'
look up: none
acquire: held
watch: fresh
timeout 124
END
}

@test "a wait reports nothing with Level::quiet" {
  steps get lock=held watch=fresh wait=fresh --quiet <<'END'
look up: none
acquire: held
watch: fresh
wait: fresh
replay fresh
waited 0
END
}

# bats test_tags=slow
@test "a deadline that passes between two attempts ends the wait" {
  steps get lock=held watch=fresh --wait=1s wait=slow <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: slow
> t:x: the holder is gone
> t:x: timed out after 1s of waiting for host:7
timeout 124
END
}

@test "--on-timeout run runs the command without the store" {
  steps get lock=held watch=fresh --wait=5s wait=timed-out --on-timeout=run <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7; running the command without the store
start plain
bypass 0
END
}

@test "a look-up cannot run a command then" {
  steps get --look-up watch=fresh --wait=5s wait=timed-out --on-timeout=run <<'END'
look up: none
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
timeout 124
END
}

@test "--on-timeout stale serves an expired entry" {
  steps get lock=held watch=fresh 'look up=expired' --wait=5s wait=timed-out --on-timeout=stale <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

@test "--on-timeout stale without an entry ends with 124" {
  steps get lock=held watch=fresh --wait=5s wait=timed-out --on-timeout=stale <<'END'
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
timeout 124
END
}

@test "--on-timeout stale does not serve a damaged entry" {
  steps get lock=held watch=fresh 'look up=expired+damaged' --wait=5s wait=timed-out --on-timeout=stale <<'END'
look up: expired+damaged
> t:x: the entry is 10s old, and not fresh enough
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: the stored entry is damaged; treated as a miss
> t:x: timed out after 5s of waiting for host:7
timeout 124
END
}

@test "--on-timeout fail does not serve an expired entry" {
  steps get lock=held watch=fresh 'look up=expired' --wait=5s wait=timed-out <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
timeout 124
END
}

@test "--stale-if-error serves an expired entry after the wait" {
  steps get lock=held watch=fresh 'look up=expired' --wait=5s wait=timed-out --stale-if-error=1m <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
> t:x: stale, 10s old, took 2s
replay expired
stale 0
END
}

# ---- how the run of a holder ends ----

@test "a failure is shared and not stored" {
  steps get command=3 <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 3: done
release stdout
drain for forever
> t:x: the command exited with status 3; not stored
miss 3
END
}

@test "a failure is stored with --cache-failures" {
  steps get command=3 --cache-failures=10s <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish failed, status 3: done
release stdout
drain for forever
> t:x: the command exited with status 3; kept for 10s
miss 3, stored
END
}

@test "a failure is not stored if nothing is to be kept" {
  steps get command=3 --cache-failures=10s --no-keep <<'END'
look up: none
acquire: free
begin: ok
start spooled
publish shared, status 3: done
release stdout
drain for forever
> t:x: the command exited with status 3; not stored
miss 3
END
}

@test "a failure serves the older entry with --stale-if-error" {
  steps get 'look up=expired' --stale-if-error=1m command=3 <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish shared, status 3: done
drain for forever
replay expired
> t:x: the command exited with status 3; served the entry that is 10s old
stale 0, instead of a failure
END
}

@test "a success does not" {
  steps get 'look up=expired' --stale-if-error=1m <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish kept, status 0, ttl 1m, retained 2m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a command that was ended by a signal serves the older entry too" {
  steps get 'look up=expired' --stale-if-error=1m command=killed <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish shared, status 137, transient failures 1: done
drain for forever
replay expired
> t:x: the command was ended by signal KILL (9); served the entry that is 10s old
stale 0, instead of a failure
END
}

@test "a command that could not be started serves the older entry too" {
  steps get 'look up=expired' --stale-if-error=1m command=not-started <<'END'
look up: expired
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish shared, status 127, transient failures 1: done
drain for forever
replay expired
> t:x: served the entry that is 10s old
stale 0, instead of a failure
END
}

@test "a signal without a name is a number" {
  steps get command=odd-signal <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 228, transient failures 1: done
release stdout
drain for forever
> t:x: the command was ended by signal 100; not stored
miss 228
END
}

@test "a command that could not be started is a transient failure" {
  steps get command=not-started <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 127, transient failures 1: done
release stdout
drain for forever
miss 127
END
}

@test "a run that is interrupted stores nothing, and ends by the signal" {
  steps get command=interrupted <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
give up
release stdout
drain for forever
> t:x: interrupted; nothing is stored
interrupted 143, signal 15
END
}

@test "a run whose command caught the signal ends with the status of the command" {
  steps get command=caught <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
give up
release stdout
drain for forever
> t:x: interrupted; nothing is stored
interrupted 0
END
}

@test "a command that is stopped at --max-runtime shares the status 124" {
  steps get command=timed-out --max-runtime=5s <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 124: done
release stdout
drain for 2s
> t:x: the command was stopped: --max-runtime 5s has passed
miss 124
END
}

@test "a command that is stopped with its lease publishes nothing" {
  steps get command=stopped --kill <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled, stopped with the lease
abandon
release stdout
drain for 2s
> t:x: the command was stopped: its lease could not be renewed
miss 143
END
}

@test "of a command that is interrupted too, only that is reported" {
  steps get command=stopped+caught --kill <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled, stopped with the lease
give up
release stdout
drain for 2s
> t:x: interrupted; nothing is stored
interrupted 143, signal 15
END
}

@test "a run of an unknown status publishes nothing" {
  steps get command=unknown <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
abandon
release stdout
drain for forever
> t:x: not stored: the exit status of the command is not known
miss 125
END
}

@test "processes that could not be killed are named" {
  steps get command=left-running <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: still running, could not be killed: 12 (sudo)
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "output that the spool refuses is not stored, and the waiters are told at once" {
  steps get command=refused <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish unstored, status 0: done
release stdout
drain for forever
> t:x: not stored: cannot read the command's output: Input/output error
miss 0, store error: cannot read the command's output: Input/output error
END
}

@test "a run that lasts renews its lock" {
  steps get command=long <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
renew
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "a signal that comes after the output is drained in part ends the call" {
  steps get drain=interrupted <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
miss 143, signal 15, stored
END
}

@test "output that comes late is passed on" {
  steps get late=yes <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
late output
miss 0, stored
END
}

@test "a success of no ttl is shared, not stored" {
  steps get --ttl=0 <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 0: done
release stdout
drain for forever
miss 0
END
}

@test "a run that is not to be kept is shared" {
  steps get --no-keep <<'END'
look up: none
acquire: free
begin: ok
start spooled
publish shared, status 0: done
release stdout
drain for forever
miss 0
END
}

@test "a ttl is shortened by up to --jitter" {
  steps get --jitter=50 --quiet <<'END'
look up: none
acquire: free
begin: ok
start spooled
publish kept, status 0, a shorter ttl: done
release stdout
drain for forever
miss 0, stored
END
}

@test "stale windows are how long an entry is retained beyond its ttl" {
  steps get --stale=10s --stale-if-error=30s <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m, retained 1m30s: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "the command chooses its ttl and stale window" {
  steps get $'control=ttl=5s\nstale=10s' <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 5s, retained 15s: done
release stdout
drain for forever
> t:x: stored for 5s, took 1s
miss 0, stored
END
}

@test "the command forbids to store its result" {
  steps get control=cache=no <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 0: done
release stdout
drain for forever
miss 0
END
}

@test "a control file that is not understood keeps the result from being stored" {
  steps get control=rubbish <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 0: done
release stdout
drain for forever
> t:x: not stored: the command wrote a line to MEMOLOCK_CONTROL that means nothing: rubbish
miss 0
END
}

@test "a command that cannot be started releases the lock" {
  steps get start=error <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
abandon
error: the command cannot be started
END
}

@test "a store that fails as the run begins ends the call before the command" {
  steps get begin=error <<'END'
look up: none
acquire: free
begin: error
abandon
error: begin failed
END
}

# ---- a store that fails after the command has started ----

@test "a result that cannot be stored costs the entry, not the output" {
  steps get publish=fails <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: fails
abandon
release stdout
drain for forever
> t:x: not stored: publish failed
miss 0, store error: publish failed
END
}

@test "only the first reason is reported" {
  steps get command=refused publish=fails <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish unstored, status 0: fails
abandon
release stdout
drain for forever
> t:x: not stored: cannot read the command's output: Input/output error
miss 0, store error: cannot read the command's output: Input/output error
END
}

@test "a failure that cannot be stored is reported once" {
  steps get command=3 publish=fails --cache-failures=10s <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish failed, status 3: fails
abandon
release stdout
drain for forever
> t:x: not stored: publish failed
> t:x: the command exited with status 3
miss 3, store error: publish failed
END
}

@test "an entry that was deleted during the run is not stored" {
  steps get publish=forgotten <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: forgotten
release stdout
drain for forever
> t:x: not stored: it was deleted during the run
miss 0
END
}

@test "a lease that was lost to another holder is reported" {
  steps get publish=lost <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: lost
release stdout
drain for forever
> t:x: not stored: the lease was lost to another holder
miss 0
END
}

@test "a signal while the result is stored ends the call after the output" {
  steps get publish=interrupted <<'END'
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish kept, status 0, ttl 1m: interrupted
release stdout
drain for 2s
> t:x: interrupted; nothing is stored
interrupted 143, signal 15
END
}

@test "nothing is reported with Level::quiet" {
  steps get publish=lost command=3 --quiet <<'END'
look up: none
acquire: free
begin: ok
start spooled
publish shared, status 3: lost
release stdout
drain for forever
miss 3
END
}

# ---- artifacts ----

@test "artifacts are packed after a success" {
  steps get --artifact=there <<'END'
include artifacts
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
renew
publish kept, status 0, ttl 1m, artifacts: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "artifacts that are not there keep the result from being shared" {
  steps get --artifact=missing <<'END'
include artifacts
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
renew
publish unstored, status 0: done
release stdout
drain for forever
> t:x: not stored: the command has not made missing
miss 0, store error: the command has not made missing
END
}

@test "a failed command is not asked for artifacts" {
  steps get --artifact=missing command=3 <<'END'
include artifacts
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
publish shared, status 3: done
release stdout
drain for forever
> t:x: the command exited with status 3; not stored
miss 3
END
}

@test "a signal while artifacts are packed ends the call after the output" {
  steps get --artifact=there command=0+signal <<'END'
include artifacts
look up: none
acquire: free
begin: ok
> t:x: running the command
start spooled
renew
give up
release stdout
drain for 2s
> t:x: interrupted; nothing is stored
interrupted 143, signal 15
END
}

@test "an entry with the artifacts restores them" {
  steps get --artifact=made 'look up=made' <<'END'
include artifacts
look up: made
> t:x: hit, 10s old, took 2s
replay made
hit 0
END
}

@test "an entry without the artifacts is a miss" {
  steps get --artifact=there 'look up=made' <<'END'
include artifacts
look up: made
> t:x: the entry has no there; treated as a miss
acquire: free
begin: ok
> t:x: running the command
start spooled
renew
publish kept, status 0, ttl 1m, artifacts: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "an entry without any artifacts is a miss" {
  steps get --artifact=there 'look up=fresh' <<'END'
include artifacts
look up: fresh
> t:x: the entry has no there; treated as a miss
acquire: free
begin: ok
> t:x: running the command
start spooled
renew
publish kept, status 0, ttl 1m, artifacts: done
release stdout
drain for forever
> t:x: stored for 1m, took 1s
miss 0, stored
END
}

@test "an entry whose artifacts are larger than --max-entry allows is a miss" {
  steps get --artifact=made --max-entry=6 'look up=made' lock=held watch=fresh wait=failed <<'END'
include artifacts
look up: made
> t:x: the entry is larger than --max-entry (6 B); treated as a miss
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: failed
> t:x: waited; the run took 2s, status 3
replay failed
waited 3
END
}

@test "an entry whose archive is lost is a miss" {
  steps get --artifact=made 'look up=made+no-archive' lock=held watch=fresh wait=failed <<'END'
include artifacts
look up: made+no-archive
> t:x: the artifacts of the entry are missing or damaged; treated as a miss
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: failed
> t:x: waited; the run took 2s, status 3
replay failed
waited 3
END
}

@test "an entry whose archive cannot be unpacked is a miss, and not tried again" {
  steps get --artifact=made 'look up=made+bad-archive' lock=held watch=fresh wait=failed <<'END'
include artifacts
look up: made+bad-archive
> t:x: the stored artifacts are damaged; treated as a miss
look up: made+bad-archive
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: failed
> t:x: waited; the run took 2s, status 3
replay failed
waited 3
END
}

@test "a waiter restores the artifacts of the answer" {
  steps get --artifact=made lock=held watch=fresh wait=made <<'END'
include artifacts
look up: none
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: made
> t:x: waited; the run took 2s, status 0
replay made
waited 0
END
}

@test "a stored failure needs no artifacts" {
  steps get --artifact=made failure=failed --cache-failures=1m <<'END'
include artifacts
look up: none
failure: failed
> t:x: hit, 10s old, took 2s; a failure with status 3, kept for 50s more
replay failed
hit 3
END
}

@test "an older entry that is served in place of a failure restores its artifacts" {
  steps get --artifact=made 'look up=expired+made' --stale-if-error=1m command=3 <<'END'
include artifacts
look up: expired+made
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish shared, status 3: done
drain for forever
replay expired+made
> t:x: the command exited with status 3; served the entry that is 10s old
stale 0, instead of a failure
END
}

@test "it is not served if they cannot be restored" {
  steps get --artifact=made 'look up=expired+made+bad-archive' --stale-if-error=1m command=3 <<'END'
include artifacts
look up: expired+made+bad-archive
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish shared, status 3: done
release stdout
drain for forever
> t:x: the stored artifacts are damaged
> t:x: the command exited with status 3; not stored
miss 3
END
}

@test "it is not served if a signal comes while they are restored" {
  steps get --artifact=made 'look up=expired+made' --stale-if-error=1m command=3+signal <<'END'
include artifacts
look up: expired+made
> t:x: the entry is 10s old, and not fresh enough
acquire: free
begin: ok
> t:x: running the command
start spooled, stdout deferred
publish shared, status 3: done
release stdout
drain for forever
miss 143, signal 15
END
}

# ---- promises (--external) ----

@test "a promise is completed" {
  steps get --external promise=fresh <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: fresh
abandon
> t:x: the promise was kept
replay fresh
miss 0
END
}

@test "a promise is completed with a failure" {
  steps get --external promise=failed <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: failed
abandon
> t:x: the promise failed with status 3
replay failed
miss 3
END
}

@test "a promise that expires is a failure for everybody" {
  steps get --external promise=timed-out <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: timed-out
publish shared, status 124: done
> t:x: nobody has kept the promise within 1m
timeout 124
END
}

@test "the holder of a promise that cannot be found any more fails likewise" {
  steps get --external promise=gone <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: gone
publish shared, status 124: done
> t:x: nobody has kept the promise within 1m
timeout 124
END
}

@test "a signal while an expired promise is published ends the call" {
  steps get --external promise=timed-out publish=interrupted <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: timed-out
publish shared, status 124: interrupted
> t:x: interrupted; the promise is given up
interrupted 143, signal 15
END
}

@test "a command that fails breaks the promise" {
  steps get --external command=3 <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
publish shared, status 3: done
> t:x: the command exited with status 3; not stored
miss 3
END
}

@test "a signal while that is published ends the call" {
  steps get --external command=3 publish=interrupted <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
publish shared, status 3: interrupted
> t:x: the command exited with status 3; not stored
> t:x: interrupted; the promise is given up
interrupted 143, signal 15
END
}

@test "a signal while the holder waits gives the promise up" {
  steps get --external promise=interrupted <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: interrupted
give up
> t:x: interrupted; the promise is given up
interrupted 143, signal 15
END
}

@test "a signal during a request to the store does too" {
  steps get --external promise=interrupt <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: interrupt
give up
> t:x: interrupted; the promise is given up
interrupted 143, signal 15
END
}

@test "a signal while the command runs does too" {
  steps get --external command=interrupted <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
give up
> t:x: interrupted; nothing is stored
interrupted 143, signal 15
END
}

@test "a store that fails while the holder waits loses the promise, and the command is not run again" {
  steps get --external promise=error <<'END'
look up: none
acquire for others: free
begin: ok
> t:x: running the command
start plain, stdout to stderr
> t:x: started; waiting for the promise to be kept
await promise for 1m
promise: error
abandon
> t:x: lost the promise: promise failed
error 125, store error: promise failed
END
}

@test "a waiter takes the answer of a promise" {
  steps get --external lock=held watch=external wait=fresh <<'END'
look up: none
acquire for others: held
watch: external
> t:x: waiting for host:7, promised for 12s
wait: fresh
> t:x: waited; the run took 2s, status 0
replay fresh
waited 0
END
}

# ---- lock ----

@test "lock runs the command and keeps nothing" {
  steps lock <<'END'
acquire: free
begin: ok
> t:x: running the command
start plain
abandon
ran 0
END
}

@test "lock waits for its turn" {
  steps lock lock=held,free watch=fresh wait=fresh <<'END'
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: fresh
acquire: free
begin: ok
> t:x: running the command
start plain
abandon
ran 0
END
}

@test "lock tries again while no run is visible" {
  steps lock lock=held,free watch=none <<'END'
acquire: held
watch: none
acquire: free
begin: ok
> t:x: running the command
start plain
abandon
ran 0
END
}

@test "a pause of lock ends by a signal" {
  steps lock lock=held watch=signal <<'END'
acquire: held
watch: signal
interrupted 143, signal 15
END
}

@test "lock waits no longer than --wait" {
  steps lock lock=held watch=fresh wait=timed-out --wait=5s <<'END'
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7
timeout 124
END
}

@test "lock does not wait with a wait of 0" {
  steps lock lock=held watch=fresh --wait=0 <<'END'
acquire: held
watch: fresh
> t:x: timed out after 0ms of waiting for host:7
timeout 124
END
}

# bats test_tags=slow
@test "lock ends at a deadline that passes between two attempts" {
  steps lock lock=held watch=fresh wait=slow --wait=1s <<'END'
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: slow
> t:x: timed out after 1s of waiting for host:7
timeout 124
END
}

@test "lock runs the command without the lock with --on-timeout run" {
  steps lock lock=held watch=fresh wait=timed-out --wait=5s --on-timeout=run <<'END'
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: timed-out
> t:x: timed out after 5s of waiting for host:7; running without the lock
start plain
bypass 0
END
}

@test "lock that is interrupted while it waits ends by the signal" {
  steps lock lock=held watch=fresh wait=interrupted <<'END'
acquire: held
watch: fresh
> t:x: waiting for host:7, running for 12s
wait: interrupted
interrupted 143, signal 15
END
}

@test "lock refuses to wait for the run that it is in" {
  steps lock lock=held watch=own --inside <<'END'
acquire: held
watch: own
error: deadlock: this command runs inside the run of t:x that it would wait for
END
}

@test "lock reports a failed command, and its status is the command's" {
  steps lock command=3 <<'END'
acquire: free
begin: ok
> t:x: running the command
start plain
abandon
> t:x: the command exited with status 3
ran 3
END
}

@test "lock that is interrupted gives up the lock" {
  steps lock command=interrupted <<'END'
acquire: free
begin: ok
> t:x: running the command
start plain
give up
> t:x: interrupted
interrupted 143, signal 15
END
}

@test "lock stops its command with the lease if it is to" {
  steps lock command=stopped --kill <<'END'
acquire: free
begin: ok
> t:x: running the command
start plain, stopped with the lease
abandon
> t:x: the command was stopped: its lease could not be renewed
ran 143
END
}

# ---- once ----

@test "once runs the command and stores a mark of what is left of the ttl" {
  steps once <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: done
ran 0, stored
END
}

@test "once skips the command after a recent run" {
  steps once mark=fresh --skip-status=7 <<'END'
mark: fresh
> t:x: skipped; host:7 began a run 12s ago, status 0
skipped 7
END
}

@test "once skips the command if the mark is found under the lock" {
  steps once mark=none,fresh <<'END'
mark: none
acquire: free
mark: fresh
> t:x: skipped; host:7 began a run 12s ago, status 0
abandon
skipped 0
END
}

@test "once runs the command after an older run" {
  steps once mark=expired <<'END'
mark: expired
acquire: free
mark: expired
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: done
ran 0, stored
END
}

@test "once reports a mark from the future, once, and runs the command" {
  steps once mark=later <<'END'
mark: later
> t:x: the mark is dated in the future; treated as absent
acquire: free
mark: later
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: done
ran 0, stored
END
}

@test "once skips the command after a failed run" {
  steps once mark=failed <<'END'
mark: failed
> t:x: skipped; host:7 began a run 12s ago, status 3
skipped 0
END
}

@test "once runs the command after a failed run with --on-failure retry" {
  steps once mark=failed --retry <<'END'
mark: failed
acquire: free
mark: failed
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: done
ran 0, stored
END
}

@test "once skips the command after a successful run with --on-failure retry" {
  steps once mark=fresh --retry <<'END'
mark: fresh
> t:x: skipped; host:7 began a run 12s ago, status 0
skipped 0
END
}

@test "once skips the command while a run is in progress" {
  steps once lock=held watch=fresh --skip-status=7 <<'END'
mark: none
acquire: held
watch: fresh
> t:x: skipped; host:7, running for 12s
skipped 7
END
}

@test "once skips the command while the lock is held for long, though no run is visible" {
  run -0 "$HELPERS/protocol_branches" once lock=held watch=none
  equal "skipped 0" "${lines[-1]}"
  equal 17 "$(grep -c 'watch: none' <<<"$output")"
}

@test "once runs the command when such a lock is released" {
  steps once lock=held,held,free watch=none <<'END'
mark: none
acquire: held
watch: none
mark: none
acquire: held
watch: none
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: done
ran 0, stored
END
}

@test "a pause of once ends by a signal" {
  steps once lock=held watch=signal <<'END'
mark: none
acquire: held
watch: signal
interrupted 143, signal 15
END
}

@test "once refuses to run inside the run that it would skip" {
  steps once lock=held watch=own --inside <<'END'
mark: none
acquire: held
watch: own
error: this command runs inside the run of t:x, for which it would always be skipped
END
}

@test "once without keep has no mark" {
  steps once --no-keep <<'END'
acquire: free
begin: ok
start plain
abandon
ran 0
END
}

@test "once without keep still skips while the lock is held" {
  steps once --no-keep lock=held watch=fresh <<'END'
acquire: held
watch: fresh
> t:x: skipped; host:7, running for 12s
skipped 0
END
}

@test "once stores the mark of a failure" {
  steps once command=3 <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 3, ttl 59s: done
> t:x: the command exited with status 3
ran 3, stored
END
}

@test "once stores no mark of a command that could not be started" {
  steps once command=not-started <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
abandon
ran 127
END
}

@test "once stores no mark of a run that was interrupted" {
  steps once command=interrupted <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
give up
> t:x: interrupted
interrupted 143, signal 15
END
}

@test "once stores no mark of a command that was stopped with its lease" {
  steps once command=stopped --kill <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain, stopped with the lease
abandon
> t:x: the command was stopped: its lease could not be renewed
ran 143
END
}

@test "once stores no mark of a run that took longer than the ttl" {
  steps once --ttl=1s <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
abandon
ran 0
END
}

@test "once keeps a mark for good with --ttl forever" {
  steps once --ttl=forever <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl forever: done
ran 0, stored
END
}

@test "once reports a store that refuses the mark" {
  steps once publish=fails <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: fails
abandon
> t:x: no mark is kept: publish failed
ran 0, store error: publish failed
END
}

@test "once reports a mark that was deleted during the run" {
  steps once publish=forgotten <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: forgotten
> t:x: no mark is kept: it was deleted during the run
ran 0
END
}

@test "once reports a lease that was lost" {
  steps once publish=lost <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: lost
> t:x: no mark is kept: the lease was lost to another holder
ran 0
END
}

@test "once ends by a signal that comes while the mark is stored" {
  steps once publish=interrupted <<'END'
mark: none
acquire: free
mark: none
begin: ok
> t:x: running the command
start plain
publish marked, status 0, ttl 59s: interrupted
> t:x: interrupted; no mark is kept
interrupted 143, signal 15
END
}

# ---- without the store ----

@test "a bypassed run reports a failure" {
  steps bypass command=3 <<'END'
start plain
> t:x: the command exited with status 3
bypass 3
END
}

@test "a bypassed run reports nothing with Level::quiet" {
  steps bypass command=3 --quiet <<'END'
start plain
bypass 3
END
}

@test "a bypassed run that is interrupted ends by the signal" {
  steps bypass command=interrupted <<'END'
start plain
> t:x: interrupted
interrupted 143, signal 15
END
}

@test "a bypassed run is stopped at its limit" {
  steps bypass command=timed-out --max-runtime=5s <<'END'
start plain
> t:x: the command was stopped: --max-runtime 5s has passed
bypass 124
END
}

@test "a bypassed command that succeeds says nothing" {
  steps bypass <<'END'
start plain
bypass 0
END
}
