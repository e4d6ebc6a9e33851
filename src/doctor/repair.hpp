// Repairs the modes in a local store, which a volume, an unpacked archive or a umask may have
// changed.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"

namespace memolock {

/// Gives the store in `directory` and what memolock has created in it the modes with which it
/// creates them: 0700 and 0600. Changes nothing if why_not_repairable() is not empty or the
/// directory contains something that is not part of a store. Changes only what belongs to this
/// user, follows no link inside the directory, and skips files with several names. Returns what was
/// done: each change, or only their numbers if there are more than ten.
[[nodiscard]] std::vector<Finding> repair_modes(const std::string& directory);

}  // namespace memolock
