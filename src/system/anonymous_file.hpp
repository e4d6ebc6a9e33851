// Files without a name. The kernel frees them when their last descriptor is closed, however this
// process ends.
#pragma once

#include <string_view>

#include "src/system/descriptor.hpp"

namespace memolock {

/// The suffix of the name that such a file has for a moment on file systems without O_TMPFILE. A
/// process that is killed at that moment leaves the file behind.
inline constexpr std::string_view anonymous_suffix = ".spool";

/// Creates a file without a name in the open `directory`, even if the file system has no O_TMPFILE,
/// or in memory if the directory has been removed. Empty, with errno set, on failure.
[[nodiscard]] Descriptor anonymous_file(int directory);

/// The same for temporary data: in $TMPDIR, else in /tmp, else in memory.
[[nodiscard]] Descriptor temporary_file();

}  // namespace memolock
