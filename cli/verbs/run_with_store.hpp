// What the verbs that run a command share: the store or its fallback, the report, and the exit
// status.
#pragma once

#include "cli/options.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// The request for `key` by the options.
[[nodiscard]] Request request_of(const Options& options, Key key);

/// What a verb does with its store: get, once or lock.
using ProtocolFunction = Outcome (*)(const Request& request, Store& store, Signals& signals,
                                     const Log& log);

/// Does `work` with the store of the options or, as --on-store-error and the request say, without;
/// counts and reports the outcome. Throws Error, but never once the command has started.
[[nodiscard]] ProcessEnd run_with_store(const Options& options, const Request& request,
                                        ProtocolFunction function, const Log& log);

}  // namespace memolock
