// Files without a name: the kernel frees them with their last descriptor, whatever becomes of us.
#pragma once

#include <string_view>

#include "src/system/descriptor.hpp"

namespace memolock {

/// How the name ends that a file has for a moment where there is no O_TMPFILE. One of a process
/// that was killed then is still there.
inline constexpr std::string_view anonymous_ending = ".spool";

/// A file without a name in `folder`, also where the file system knows no O_TMPFILE. Where the
/// folder itself has been removed, in memory. Empty, with errno set, when there is no way.
[[nodiscard]] Descriptor anonymous_file(int folder);

/// The same for data that nobody keeps: in $TMPDIR, else in /tmp, else in memory.
[[nodiscard]] Descriptor temporary_file();

}  // namespace memolock
