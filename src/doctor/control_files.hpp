// Whether commands can say back how their results are to be kept.
#pragma once

#include "src/doctor/finding.hpp"

namespace memolock {

[[nodiscard]] Finding examine_control_files();

}  // namespace memolock
