// The common part of the verbs that run a command: it chooses between the store and the fallback
// store, writes the report, and determines the exit status.
#pragma once

#include "cli/options.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// The request for `key` that the options describe.
[[nodiscard]] Request request_of(const Options& options, Key key);

/// The function that implements a verb's protocol: get, once or lock (src/promise/).
using ProtocolFunction = Outcome (*)(const Request& request, Store& store, Signals& signals,
                                     const Log& log);

/// Calls `function` with the store that the options name; if that store fails and --on-store-error
/// permits it, with the fallback store or without a store. Counts and reports the outcome. Throws
/// Error, but never once the command has started.
[[nodiscard]] ProcessEnd run_with_store(const Options& options, const Request& request,
                                        ProtocolFunction function, const Log& log);

}  // namespace memolock
