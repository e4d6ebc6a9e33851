// The option --report: a line of JSON that says how a call ended.
#pragma once

#include <string>

#include "src/promise/get.hpp"

namespace memolock {

/// Appends the line to `file`. If that fails, logs a warning. Throws only if memory is short.
void append_report(const std::string& file, const Key& key, const Outcome& outcome, const Log& log);

}  // namespace memolock
