// The modes of a local store, put right: those of a directory that a volume or an unpacked archive
// has given its files, or an umask has taken from them.
#pragma once

#include <string>
#include <vector>

#include "src/doctor/finding.hpp"

namespace memolock {

/// Gives the store in `directory` and what memolock has made in it the modes that it makes them
/// with: 0700 and 0600. A directory that fault_of_repair() has a word for, or that holds what is no
/// store's, is left alone as a whole. Only what belongs to this user is changed, no link is
/// followed, and a file with several names is left as it is. Returns what was done, of many things
/// how many.
[[nodiscard]] std::vector<Finding> repair_modes(const std::string& directory);

}  // namespace memolock
