// Advice about errors of a Redis server and of connecting to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/doctor/finding.hpp"

namespace memolock {

/// The finding for `error`, which is an error reply or the message of an Error: a failure and its
/// remedy. `subject`: the operation that was tried; used for errors that any request may cause.
/// Nothing for an unknown error.
[[nodiscard]] std::optional<Finding> diagnose_known_error(std::string_view error,
                                                          std::string_view subject);

/// The same for any error; an unknown one has a general remedy.
[[nodiscard]] Finding diagnose_error(std::string_view error, std::string_view subject);

}  // namespace memolock
