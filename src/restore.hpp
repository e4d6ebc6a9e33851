// From an archive (pack.hpp) to the paths that the caller named.
#pragma once

#include <string>
#include <vector>

#include "src/spool.hpp"

namespace memolock {

/// Restores `wanted`, each of which is among `stored`, the paths of the archive in their order.
/// Every file and link is complete when it appears under its name; what else is in a folder stays.
/// All files and links get the same time, that of now. Nothing is written outside of the
/// wanted paths whatever the archive says: no link is followed but those in the caller's own words.
/// Throws Error(store) when something cannot be written or the archive is not sound, with some of
/// it restored then, and Error(interrupted) when the descriptor `interrupt` becomes readable.
void restore(const FilePart& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, int interrupt);

}  // namespace memolock
