// Files without a name: the kernel frees them with their last descriptor, whatever becomes of us.
#pragma once

#include "src/system/descriptor.hpp"

namespace memolock {

/// A file without a name in `folder`, also where the file system knows no O_TMPFILE. Where the
/// folder itself has been removed, in memory. Empty, with errno set, when there is no way.
[[nodiscard]] Descriptor nameless_file(int folder);

/// The same for data that nobody keeps: in $TMPDIR, else in /tmp, else in memory.
[[nodiscard]] Descriptor temporary_file();

}  // namespace memolock
