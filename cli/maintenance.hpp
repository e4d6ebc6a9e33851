// Bookkeeping on this machine: counts calls, and removes local files that are no longer needed.
#pragma once

#include <string>

#include "cli/options.hpp"
#include "cli/store_choice.hpp"
#include "src/entry/request.hpp"
#include "src/local/gc.hpp"

namespace memolock {

/// Collects garbage in the directory of the chosen store (for a server, in the directory of the
/// counters) and in the directories of the fallback stores. Unless `mode` is dry_run, first waits
/// for a collection by another process to end. Throws Error(store) if the local store is unfit.
[[nodiscard]] GcResult collect_local_garbage(const Options& options, const StoreChoice& choice,
                                             GcMode mode);

/// To be called at the end of a `get`, after its output has been written; does nothing for other
/// verbs. Counts the call. If the call has stored something and the last collection began more than
/// an hour ago, collects garbage in a background process.
void maintain(const Options& options, const StoreChoice& choice, const Outcome& outcome);

}  // namespace memolock
