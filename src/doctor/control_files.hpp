// Checks whether commands can control how their results are stored (MEMOLOCK_CONTROL).
#pragma once

#include "src/doctor/finding.hpp"

namespace memolock {

/// Creates a control file and removes it again.
[[nodiscard]] Finding examine_control_files();

}  // namespace memolock
