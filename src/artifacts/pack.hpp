// Packs the paths that --artifact names into an archive.
//
// A member's name is the index of its path in the caller's list, followed by the relative path from
// there: "0", "1/sub/file". So an archive never contains a path of the machine on which it was
// created.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// Appends an archive of the files and directories `paths` to Stream::files of the spool. A
/// symbolic link inside a directory is packed as a link. A path that is itself a symbolic link is
/// refused, and so is anything that is neither a file nor a directory.
///
/// Returns "" on success; the reason for a failure, worded to follow "not stored: "; or nothing if
/// the descriptor `interrupt` became readable first. Does not throw. The time that it takes depends
/// on the size of the files including their holes, not on the size of the archive, and can be
/// longer than the lease. The parameter `lock` proves that the lease is being renewed.
[[nodiscard]] std::optional<std::string> pack(const std::vector<std::string>& paths, Spool& spool,
                                              int interrupt, KeepaliveArmed lock);

}  // namespace memolock
