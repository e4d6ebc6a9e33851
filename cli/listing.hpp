// How `ls` and `show` describe a record.
#pragma once

#include <optional>
#include <string>

#include "cli/json.hpp"
#include "src/entry/record.hpp"

namespace memolock {

/// "fresh", "stale", "failed" or "running".
[[nodiscard]] const char* state_of(const Record& record, Nanoseconds now);

/// The time since the end of the run, or since its start if it is in progress or a mark. Nothing if
/// unknown.
[[nodiscard]] std::optional<Nanoseconds> age_or_run_time(const Record& record, Nanoseconds now);

/// How long it stays fresh; nothing if it is not fresh, or a run in progress.
[[nodiscard]] std::optional<Nanoseconds> time_left_of(const Record& record, Nanoseconds now);

/// "host:pid"; "-" if unknown.
[[nodiscard]] std::string holder_of(const Record& record);

/// A time left as JSON: null stands for `forever`, 0 for nothing.
[[nodiscard]] Json seconds_left(const std::optional<Nanoseconds>& left);

}  // namespace memolock
