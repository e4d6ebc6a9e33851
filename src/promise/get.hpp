// The protocol of `get`.
//
// Many callers may ask for the same entry at the same time. One of them runs the command; the
// others use its result:
//
// 1. Look up the entry. If it is fresh, replay it and end.
// 2. Otherwise try to acquire the lock. The caller that gets it, the holder, looks up once more,
//    because the previous holder may have stored its result between steps 1 and 2. It then runs the
//    command, stores the result, wakes the waiters and releases the lock.
// 3. A caller that does not get the lock, a waiter, subscribes to the run in progress, looks up
//    once more, because the run may have ended before the subscription, and sleeps. If it is woken
//    with a result, it uses that result if it answers the request. If it is woken without one, the
//    holder has died or was interrupted: it starts again at step 1 and may become the holder.
//
// The use that a waiter makes of the result depends on how the run ended:
//
// - Success: use the result. With --refresh only if the run began after this call; otherwise start
//   again.
// - Failure: use the result, with its exit status. With --on-failure retry, start again.
// - Command not started, or killed by a signal: the cause may be the holder's machine, so start
//   again. If this happens in two runs in a row, use the second result.
// - Result too large, or could not be stored: run the command immediately, without the store.
// - Holder interrupted or dead, or a run of `lock` or `once`: start again.
//
// With --external the command only starts the work. After the command has exited, the holder holds
// the lock and waits, like the waiters, for a result that another process stores with the token of
// the run: the run is a promise. If one lease passes without a renewal, the promise expires; for
// the holder and the waiters, this is a failure with status 124.
//
// Some entries are served although they are not fresh: with --stale immediately, while one
// background process refreshes the entry under the lock; with --stale-if-error if the command fails
// or the wait times out. A stored failure (--cache-failures, or a failed refresh) says how long the
// command is not run again. With --early, one caller may refresh an entry before it expires, while
// the others still use it.
//
// Files that the command creates (--artifact) are packed after a successful run and are part of its
// result. For a caller that asks for artifacts, an entry without them is a miss. They are restored
// before the output is replayed.
//
// Two rules apply at every step: only a process that has the token of the lock stores a result, and
// once a command has started, its output reaches its caller even if the store fails.
#pragma once

#include "src/entry/request.hpp"
#include "src/promise/call.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// Carries out `request`, with a command or as a look-up only. Call it from the main thread, while
/// there is no other thread. Requires Request::ttl if there is a command. Every expected end is an
/// Outcome; its `store_error` is the error of the store after the command had started. Throws
/// Error(store) and Error(interrupted) only before the command has started, and Error(usage) for a
/// request that would wait for itself.
[[nodiscard]] Outcome get(const Request& request, Store& store, Signals& signals, const Log& log);
/// The same, with processes started by the launcher of the context.
[[nodiscard]] Outcome get(const CallContext& context);

}  // namespace memolock
