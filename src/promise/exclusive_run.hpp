// The protocols of `lock` and `once`: run a command under the lock of its entry. Its output goes
// directly to the caller and is not stored. The lock is the one that `get` uses. A `get` that waits
// for such a run starts again when the run has ended.
//
// `lock` waits until it has the lock, then runs the command.
//
// `once` never waits for a run. It skips the command if the lock is held, or if the mark of the
// last run says that it began less than the ttl ago. Otherwise it acquires the lock, looks for the
// mark once more, because another run may have ended in between, runs the command and stores a
// mark. A run stores no mark if it was interrupted, lost its lock to another holder or could not be
// started, so that the next host that calls `once` runs the command; nor if its id was deleted
// during the run, or if the run lasted longer than its ttl.
#pragma once

#include "src/entry/request.hpp"
#include "src/promise/call.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// Both throw Error(store) and Error(interrupted) only before the command has started, and
/// Error(usage) for a request from inside the run that holds the lock.
[[nodiscard]] Outcome lock(const Request& request, Store& store, Signals& signals, const Log& log);
[[nodiscard]] Outcome lock(const CallContext& context);
/// If Request::keep is false, `once` neither looks for a mark nor stores one; otherwise it requires
/// Request::ttl.
[[nodiscard]] Outcome once(const Request& request, Store& store, Signals& signals, const Log& log);
[[nodiscard]] Outcome once(const CallContext& context);

}  // namespace memolock
