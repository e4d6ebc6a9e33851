// The promise protocol, stated once.
//
// Of all callers who want an entry, one runs the command; the others take what it leaves:
//
// 1. Look up. A fresh entry is replayed, and that is all.
// 2. Else try to take the lock. Who gets it looks up once more (the last holder may have stored
//    between the two steps), runs the command, stores what it left, wakes the waiters and releases
//    the lock.
// 3. Else watch the run in progress, look up once more (it may have ended before the watch began),
//    and sleep. WaitResult with an outcome, take it if it answers; woken without one, the holder
//    has died: begin anew, and perhaps take over.
//
// What a waiter makes of an outcome:
//
// - success: take it. With --refresh only if the run began after this call, else begin anew.
// - failure: take it, status and all. With --on-failure retry begin anew.
// - not started, or killed by a signal: it may be that machine's trouble, so begin anew; but take
//   the second such end in a row.
// - too large or not storable: run the command at once, uncached.
// - holder interrupted or dead, or one of `lock` or `once`: begin anew.
//
// With --external the command only starts the work. Its holder keeps the lock when it has exited,
// and waits like the others for the outcome, which some process stores by the run's token; but not
// for longer than one lease since the last renewal: then the promise has failed.
//
// What is stored may be served though it is not fresh: with --stale at once, while one process in
// the background refreshes it under the lock; with --stale-if-error when the command fails or the
// wait is over. A failure that is kept (--cache-failures, and that of a run in the background) says
// how long nobody is to try again. With --early a caller may refresh an entry before it expires;
// all others take it meanwhile.
//
// Files that the command makes (--artifact) are packed after a successful run and are part of its
// outcome, so an entry without them is none for a caller who asks for them. Before the output is
// replayed they are restored.
//
// Nobody stores without the lock, and the command's output reaches its caller whatever the store
// does.
#pragma once

#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// Carries out `request`. Throws Error(store) and Error(interrupted) only before the command has
/// started, Error(usage) for a request that would wait for itself.
[[nodiscard]] Outcome get(const Request& request, Store& store, Signals& signals, const Log& log);

}  // namespace memolock
