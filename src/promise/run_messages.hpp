// Texts for messages about how a run ended and how old its entry is. They do not contain the name
// of the entry.
#pragma once

#include <string>
#include <vector>

#include "src/command/command.hpp"
#include "src/entry/record.hpp"
#include "src/entry/request.hpp"

namespace memolock {

/// The warnings about how a run ended, one line each: the reason why the command was stopped, and
/// the processes that could not be stopped.
[[nodiscard]] std::vector<std::string> describe_warnings(const Request& request,
                                                         const RunResult& ending);

/// "the command exited with status 3" or "the command was killed by signal 9 (KILL)". Empty if it
/// succeeded, or if describe_warnings() or an error message gives the reason for the failure.
[[nodiscard]] std::string describe_failure(const RunResult& ending);

/// How the run of a stored or shared failure ended, worded to follow "the command": "failed with
/// status 3" or "was killed by signal 9 (KILL)".
[[nodiscard]] std::string describe_failure(const Record& record);

/// "stored for 5s" or "stored without an expiry".
[[nodiscard]] std::string describe_storage(const Record& record);

/// "3m old", "dated in the future", or "stored by another program".
[[nodiscard]] std::string describe_age(const Record& record, Nanoseconds now);

}  // namespace memolock
