// From an archive (artifacts/pack.hpp) to the paths that the caller named.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/entry/spool.hpp"

namespace memolock {

/// Restores `wanted`, each of which is among `stored`, the paths of the archive in their order.
/// Files and links appear under their names when all of them are complete; what else is in a folder
/// stays. All get the same time, that of now. Nothing is written outside of the wanted paths
/// whatever the archive says: no link is followed but those in the caller's own words; and no more
/// than `most` bytes, as UnpackedSize counts all that is in the archive. Throws RefusedArchive,
/// Error(store) when something cannot be written, and Error(interrupted) when the descriptor
/// `interrupt` becomes readable; all that was made for it is removed then, unless files are being
/// put in place already.
void restore(const FilePart& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, uint64_t most, int interrupt);

}  // namespace memolock
