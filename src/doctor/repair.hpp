// Repairs the modes in a local store, which can be wrong because of a volume, an unpacked archive
// or a umask.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"

namespace memolock {

/// Gives the store in `directory`, and the files and directories that memolock has created in it,
/// their original modes: 0700 for directories, 0600 for files. Changes nothing if
/// why_not_repairable() is not empty or the directory contains something that is not part of a
/// store. Changes only what belongs to this user, follows no link inside the directory, and skips
/// files with several names. Returns the changes, or only their numbers if there are more than ten.
[[nodiscard]] std::vector<Finding> repair_modes(const std::string& directory);

}  // namespace memolock
