// Delivers the result of a run to the caller: its artifacts, then its output.
#pragma once

#include <cstdint>

#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/function_ref.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// The bytes of stdout and stderr together; UINT64_MAX if the sum overflows.
[[nodiscard]] uint64_t streams_size(const Record& record);

/// Restores the artifacts that the request asks for; a failed run has none. Call before replay(),
/// so that a reader of the output finds the files. Throws as restore() does.
void restore_artifacts(const Request& request, Entry& entry, const Signals& signals);

/// Writes the output of a run to this process's stdout and stderr, at the pace of their readers.
/// The last step of a call: it unblocks the signals, so that a signal may end this process; no lock
/// may be held. `before_err` writes the text that precedes stderr, and returns 0 or the errno.
[[nodiscard]] Outcome replay(Entry& entry, OutcomeKind kind, Store& store, const Signals& signals,
                             FunctionRef<int> before_err = nullptr) noexcept;

}  // namespace memolock
