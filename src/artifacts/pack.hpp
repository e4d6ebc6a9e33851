// Packs the paths that --artifact names into an archive.
//
// A member's name is the index of its path in the caller's list, followed by the relative path from
// there: "0", "1/sub/file". So an archive never contains a path of the machine that it was made on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// Appends an archive of the files and directories `paths` to Stream::files of the spool. A
/// symbolic link inside a directory is packed as a link. A path that is itself a link, and anything
/// else that is neither a file nor a directory, is refused.
///
/// Returns "" on success, the reason of a failure, worded to follow "not stored: ", or nothing if
/// the descriptor `interrupt` became readable first. Throws nothing. How long it takes depends on
/// the size of the files including their holes, not on the size of the archive. Therefore the
/// caller must prove with `lock` that the lease is being renewed.
[[nodiscard]] std::optional<std::string> pack(const std::vector<std::string>& paths, Spool& spool,
                                              int interrupt, KeepaliveArmed lock);

}  // namespace memolock
