// A command that runs under the lock of its entry, and of whose output nothing is kept: it passes
// straight through. The lock is that of `get` too, and whoever waits for such a run begins anew
// when it has ended.
//
// `lock` waits for its turn, and runs.
//
// `once` never waits. It runs unless the lock is held, or the mark of the last run says that this
// began too short a time ago: it looks for a mark, takes the lock, looks again (a run may have
// ended between the two), runs, and leaves a mark of its own. A run that was interrupted, or lost
// its lock, or could not be started, leaves none; so another host's turn comes all the sooner.
#pragma once

#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// Each throws Error(store) and Error(interrupted) only before the command has started,
/// Error(usage) for a request from inside the run that is in its way.
[[nodiscard]] Outcome lock(const Request& request, Store& store, Signals& signals, const Log& log);
/// With Request::keep false it neither looks for a mark nor leaves one.
[[nodiscard]] Outcome once(const Request& request, Store& store, Signals& signals, const Log& log);

}  // namespace memolock
