// Restores the paths that --artifact names from an archive (artifacts/pack.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"

namespace memolock {

/// Restores `wanted`, each of which is one of `stored`, the paths of the archive in its order.
///
/// The archive is verified whole before anything is written. Files and links then appear under
/// their names once all of them are complete, with one modification time, that of now. Whatever
/// else is in a directory stays. Whatever the archive says, nothing is written outside of the
/// wanted paths, and no symbolic link is followed except those in the caller's own paths.
///
/// Throws RefusedArchive for a malformed archive, or one of more than `max_bytes` bytes as
/// UnpackedSize counts them; Error(store) if something cannot be written; Error(interrupted) if the
/// descriptor `interrupt` becomes readable. All that was made is removed then, unless files are
/// being moved into place already.
void restore(const FileRange& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, uint64_t max_bytes, int interrupt);

}  // namespace memolock
