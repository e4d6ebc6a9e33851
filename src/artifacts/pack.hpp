// Packs the paths that --artifact names into an archive.
//
// A member's name is the index of its path in the caller's list, followed by the way from there:
// "0", "1/sub/file". So an archive never holds a path of the machine that it was made on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// Appends an archive of files and directories to Stream::files of the spool. A symbolic link in a
/// directory is packed as a link. A link given as a path is refused, and so is everything that is
/// neither a file nor a directory.
///
/// Returns "" on success, else the reason of the failure in words that follow "not stored: ", and
/// nothing if the descriptor `interrupt` became readable first. The time that it takes depends on
/// the size of the files, holes included, not on that of the archive; that is why the caller proves
/// with `lock` that the lease is being renewed. Throws nothing.
[[nodiscard]] std::optional<std::string> pack(const std::vector<std::string>& paths, Spool& spool,
                                              int interrupt, RenewalStarted lock);

}  // namespace memolock
