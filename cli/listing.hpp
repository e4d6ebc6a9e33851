// How `ls` and `show` describe a record.
#pragma once

#include <optional>
#include <string>

#include "cli/json.hpp"
#include "src/entry/record.hpp"

namespace memolock {

/// "fresh"; "stale" if its ttl has passed, but a window in which it may still be served has not;
/// "expired" if it is no longer served to any caller; "failed"; or "running".
[[nodiscard]] const char* state_of(const Record& record, Nanoseconds now);

/// The time since the end of the run, or since its start if the record is a mark or describes a run
/// in progress. Nothing if unknown.
[[nodiscard]] std::optional<Nanoseconds> age_or_run_time(const Record& record, Nanoseconds now);

/// How long the record stays fresh; nothing if it is not fresh or is of a run in progress.
[[nodiscard]] std::optional<Nanoseconds> time_left_of(const Record& record, Nanoseconds now);

/// "host:pid"; "-" if unknown.
[[nodiscard]] std::string holder_of(const Record& record);

/// A remaining time as JSON: null for `forever`, 0 if there is none.
[[nodiscard]] Json seconds_left(const std::optional<Nanoseconds>& left);

}  // namespace memolock
