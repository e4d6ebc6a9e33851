// The protocol of `get`.
//
// Many callers may ask for the same entry at the same time. One of them runs the command; the
// others use its result:
//
// 1. Look up the entry. If it is fresh, replay it and end.
// 2. Otherwise try to acquire the lock. The caller that gets it, the holder, looks up once more,
//    because the previous holder may have stored its result between steps 1 and 2. It then runs
//    the command, stores the result, wakes the waiters and releases the lock.
// 3. A caller that does not get the lock, a waiter, subscribes to the run in progress, looks up
//    once more, because the run may have ended before the subscription, and sleeps. If it is woken
//    with a result, it uses that result if it answers the request. If it is woken without one, the
//    holder has died or was interrupted: it starts again at step 1 and may become the holder.
//
// What a waiter does with the result of the run that it waited for:
//
// - Success: use it. With --refresh only if the run began after this call; otherwise start again.
// - Failure: use it, with its exit status. With --on-failure retry start again.
// - Not started, or killed by a signal: the cause may be the holder's machine, so start again. If
//   this happens in two runs in a row, use the second result.
// - Too large, or could not be stored: run the command at once, without the store.
// - Holder interrupted or dead, or the run was one of `lock` or `once`: start again.
//
// With --external the command only starts the work. After the command has exited, the holder keeps
// the lock and waits, like the waiters, for a result that another process stores under the run's
// token: the run is a promise. If one lease passes without a renewal, the promise has expired; this
// is a failure with status 124, for the waiters too.
//
// Some entries are served although they are not fresh: with --stale at once, while one process in
// the background refreshes the entry under the lock; with --stale-if-error when the command fails
// or the wait times out. A stored failure (--cache-failures, or a failed refresh) says how long the
// command is not run again. With --early one caller may refresh an entry before it expires, while
// the others still use it.
//
// Files that the command makes (--artifact) are packed after a successful run and belong to its
// result. For a caller that asks for artifacts, an entry without them is a miss. They are restored
// before the output is replayed.
//
// Two rules hold at every step: a result is stored only by a process that has the token of the
// lock, and the output of a command that has started reaches its caller whatever the store does.
#pragma once

#include "src/entry/request.hpp"
#include "src/promise/call.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// Carries out `request`, with a command or as a look-up only. Call it from the main thread while
/// there is no other. Requires Request::ttl if there is a command. Every expected end is an
/// Outcome; its `store_error` says what the store refused after the command had started. Throws
/// Error(store) and Error(interrupted) only before the command has started, and Error(usage) for a
/// request that would wait for itself.
[[nodiscard]] Outcome get(const Request& request, Store& store, Signals& signals, const Log& log);
/// The same, with processes started by the launcher of the context.
[[nodiscard]] Outcome get(const CallContext& context);

}  // namespace memolock
