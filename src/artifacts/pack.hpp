// From paths to an archive.
//
// A member's name is the place of its path in the list, and behind it, for what is in a folder, the
// way there: "0", "1/sub/file". So an archive never holds a path of this machine's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// Puts an archive of files and folders into the spool. Of a symbolic link in a folder the link
/// itself; a link given as the path is refused, and so is whatever else is neither file nor folder.
/// Returns why it could not, in words that follow "not stored: "; "" when it could; nothing when it
/// has stopped because the descriptor `interrupt` became readable. It lasts as long as the files
/// are large, also if the archive is small.
[[nodiscard]] std::optional<std::string> pack(const std::vector<std::string>& paths, Spool& spool,
                                              int interrupt, KeepaliveArmed lock);

}  // namespace memolock
