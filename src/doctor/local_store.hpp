// Checks whether a directory is fit to be a local store.
#pragma once

#include <string>

#include "src/doctor/finding.hpp"

namespace memolock {

/// Examines `directory`, an absolute path, without creating it. Tries the operations that the store
/// requires of its file system in a scratch directory, which is then removed. The scratch directory
/// is in `directory` or, if that is missing, in the nearest existing directory above it.
[[nodiscard]] Examination examine_directory(const std::string& directory);

}  // namespace memolock
