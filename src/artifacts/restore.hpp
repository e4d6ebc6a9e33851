// Restores the paths that --artifact names from an archive (artifacts/pack.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"

namespace memolock {

/// Restores the paths `wanted`. `stored`: the paths of the archive, in its order; each wanted path
/// must be one of them.
///
/// The whole archive is verified before anything is written. Files and links appear under their
/// names once all of them are complete, and get the current time as modification time. Other files
/// in a directory are left unchanged. Whatever the archive contains, nothing is written outside of
/// the wanted paths, and no symbolic link is followed except those in the caller's own paths.
///
/// Throws RefusedArchive if the archive is malformed or has more than `max_bytes` bytes as
/// UnpackedSize counts them; Error(store) if something cannot be written; Error(interrupted) if the
/// descriptor `interrupt` becomes readable. Everything that was created is then removed, unless
/// files are already being moved into place.
void restore(const FileRange& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, uint64_t max_bytes, int interrupt);

}  // namespace memolock
