// Whether a directory is fit to be the local store.
#pragma once

#include <string>

#include "src/doctor/finding.hpp"

namespace memolock {

/// Looks at `directory`, an absolute path, without making it, and tries out what the store needs of
/// its file system in a folder that is removed again: there, or in the directory in which it would
/// be made.
[[nodiscard]] Examination examine_directory(const std::string& directory);

}  // namespace memolock
