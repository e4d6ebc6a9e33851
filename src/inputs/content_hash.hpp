// The content of files and folders as hashes, the same on every machine: owners, modes, times and
// the order in a folder do not count.
//
// A file is cut into pieces of 1 MiB, the last one shorter, so that all processors can work on one.
// The hash of a piece is BLAKE2b with 256 bits of its bytes; of a file, digest_of("file", PIECE…);
// of a symbolic link in a folder, digest_of("link", TARGET); of a folder, digest_of("folder",
// (KIND, NAME, HASH)…) of all files and links at any depth below it, NAME being the path from the
// folder, sorted by its bytes. Hashes stand in there as hexadecimal digits. Folders without a file
// do not count.
#pragma once

#include <string>
#include <vector>

#include "src/inputs/derived_id.hpp"

namespace memolock {

/// What is to be hashed.
struct Source {
  std::string path;  ///< of a file or folder, or of a symbolic link to one; else only for messages
  int file = -1;     ///< an open regular file; -1: the path's
};

/// The hashes of the sources in their order, each followed by those of all that a folder holds: the
/// kinds "file", "folder" and "link", the names paths. Takes all processors when there is much to
/// do. Throws Error(usage) for what is missing, cannot be read, changes meanwhile, or is neither a
/// file, a folder nor, in a folder, a symbolic link.
[[nodiscard]] std::vector<std::vector<KeyPart>> hash_contents(const std::vector<Source>& sources);

}  // namespace memolock
