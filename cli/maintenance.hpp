// Bookkeeping on this machine: counting calls, and removing local files that are not needed.
#pragma once

#include <string>

#include "cli/options.hpp"
#include "cli/store_choice.hpp"
#include "src/entry/request.hpp"
#include "src/local/gc.hpp"

namespace memolock {

/// Collects garbage in the directory of the chosen store (for a server, the one with the counters)
/// and in the fallback directories. Unless `mode` is dry_run, waits for another collection to end.
/// Throws Error(store) if the local store is unfit.
[[nodiscard]] GcResult collect_local_garbage(const Options& options, const StoreChoice& choice,
                                             GcMode mode);

/// Call it after a `get` whose output has been written. Counts it and, at most once an hour, after
/// a call that has stored something, collects garbage in a background process.
void maintain(const Options& options, const StoreChoice& choice, const Outcome& outcome);

}  // namespace memolock
