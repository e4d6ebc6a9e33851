// --report: one line of JSON on how a call ended.
#pragma once

#include <string>

#include "src/promise/get.hpp"

namespace memolock {

/// Appends the line to `file`. A report that cannot be written costs a warning and nothing else.
void append_report(const std::string& file, const Key& key, const Outcome& outcome, const Log& log);

}  // namespace memolock
