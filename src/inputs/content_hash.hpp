// Hashes of the content of files and directories, the same on every machine: owners, modes, times
// and the order in a directory do not count.
//
// A file is cut into pieces of 1 MiB, the last one shorter, so that all processors can work on one.
// The hash of a piece is the BLAKE2b of its bytes, 256 bits; of a file, digest_of("file", PIECE…);
// of a symbolic link in a directory, digest_of("link", TARGET); of a directory, digest_of("folder",
// (KIND, NAME, HASH)…) of all files and links at any depth below it, NAME being the path from the
// directory, sorted by its bytes. Hashes are hexadecimal digits there. Directories without a file
// do not count.
#pragma once

#include <string>
#include <vector>

#include "src/inputs/derived_id.hpp"

namespace memolock {

/// Something to hash.
struct Source {
  std::string path;  ///< of a file, a directory, or a symbolic link to one
  int file = -1;     ///< an open regular file, `path` being for messages only; -1: open `path`
};

/// The hashes of the sources in their order, each followed by those of all that a directory holds.
/// Their kinds are "file", "folder" (a directory) and "link", their names paths. Uses all
/// processors for large inputs. Throws Error(usage) for what is missing, cannot be read, changes
/// meanwhile, or is neither a file, a directory nor, in a directory, a symbolic link.
[[nodiscard]] std::vector<std::vector<KeyPart>> hash_contents(const std::vector<Source>& sources);

}  // namespace memolock
