// Files without a name. The kernel frees them when their last descriptor is closed, however this
// process ends.
#pragma once

#include <string_view>

#include "src/system/descriptor.hpp"

namespace memolock {

/// The suffix of the name that such a file has for a short time on file systems without O_TMPFILE.
/// If the process is killed during that time, the file remains.
inline constexpr std::string_view anonymous_suffix = ".spool";

/// Creates a file without a name in the open `directory`, even if the file system has no O_TMPFILE,
/// or in memory if the directory has been removed. Empty, with errno set, on failure.
[[nodiscard]] Descriptor anonymous_file(int directory);

/// The same for temporary data: in $TMPDIR, otherwise in /tmp, otherwise in memory.
[[nodiscard]] Descriptor temporary_file();

}  // namespace memolock
