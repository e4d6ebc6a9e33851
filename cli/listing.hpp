// What there is to say of an entry or a run: the words of `ls` and `show`.
#pragma once

#include <optional>
#include <string>

#include "cli/json.hpp"
#include "src/entry/record.hpp"

namespace memolock {

/// "fresh", "stale", "failed" or "running".
[[nodiscard]] const char* state_of(const Record& record, Nanoseconds now);

/// Since the end of the run; of one in progress, and of a mark, since its begin. Nothing where it
/// is not known.
[[nodiscard]] std::optional<Nanoseconds> age_or_run_time(const Record& record, Nanoseconds now);

/// How long it stays fresh; nothing for what is not, or is a run.
[[nodiscard]] std::optional<Nanoseconds> left_of(const Record& record, Nanoseconds now);

/// "host:pid"; "-" where it is not known.
[[nodiscard]] std::string holder_of(const Record& record);

/// A time left, for a program: null stands for `forever`, 0 for nothing.
[[nodiscard]] Json seconds_left(const std::optional<Nanoseconds>& left);

}  // namespace memolock
