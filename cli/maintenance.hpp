// What is done on this machine beside a call's own work: counting it, and keeping the local files
// small.
#pragma once

#include <string>

#include "cli/options.hpp"
#include "cli/store_choice.hpp"
#include "src/entry/request.hpp"
#include "src/local/gc.hpp"

namespace memolock {

/// Sweeps what lies on this machine of the chosen store: the local store, or, beside a server, the
/// counters; and what is used while a store is out of reach. A real sweep waits for another one to
/// end. Throws Error(store) when the local store is unfit.
[[nodiscard]] GcResult collect_local_garbage(const Options& options, const StoreChoice& choice,
                                             GcMode mode);

/// After a call of `get` that has ended, whose output is where it belongs: counts it, and once an
/// hour, after one that stored something, has a process in the background do what
/// sweep_here does.
void maintain(const Options& options, const StoreChoice& choice, const Outcome& outcome);

}  // namespace memolock
