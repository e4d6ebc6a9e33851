// The modes of a local store, put right: those of a directory that a volume or an unpacked archive
// has given its files, or an umask has taken from them.
#pragma once

#include <string>
#include <vector>

#include "src/finding.hpp"

namespace memolock {

/// Gives the store in `directory` and what memolock has made in it the modes that it makes them
/// with: 0700 and 0600. Only what belongs to this user is changed, no link is followed, and neither
/// is a folder with files of other programs, nor a file with several names. Returns what was done,
/// of many things how many.
[[nodiscard]] std::vector<Finding> repair_modes(const std::string& directory);

}  // namespace memolock
