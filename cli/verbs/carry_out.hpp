// What the verbs that run a command have in common: the store or what stands in for it, the report,
// and the exit status.
#pragma once

#include "cli/options.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// The request for `key` with the options that all these verbs have.
[[nodiscard]] Request request_of(const Options& options, Key key);

/// What a verb does with its store.
using Work = Outcome (*)(const Request& request, Store& store, Signals& signals, const Log& log);

/// Does it with the store of the options, or without, as --on-store-error and the request say.
[[nodiscard]] Exit carry_out(const Options& options, const Request& request, Work work,
                             const Log& log);

}  // namespace memolock
