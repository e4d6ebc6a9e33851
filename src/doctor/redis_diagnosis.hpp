// What to do about the errors of a Redis server, and of the way to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/doctor/finding.hpp"

namespace memolock {

/// The finding that `error` is, be it a server's answer or the text of an Error: FAIL, with what to
/// do. `subject`: what was tried, for errors that may come of anything. Nothing for one that is not
/// known.
[[nodiscard]] std::optional<Finding> diagnose_known_error(std::string_view error,
                                                          std::string_view subject);

/// The same for any error.
[[nodiscard]] Finding diagnose_error(std::string_view error, std::string_view subject);

}  // namespace memolock
