// Hashes of the content of files and directories. They are the same on every machine: they do not
// depend on owners, modes, times or the order of names in a directory.
//
// A file is divided into pieces of 1 MiB, the last of which may be shorter, so that all processors
// can work on one file. The hash of a piece is the BLAKE2b of its bytes, 256 bits. The hash of a
// file is digest_of("file", PIECE…), that of a symbolic link in a directory digest_of("link",
// TARGET). The hash of a directory is digest_of("folder", (KIND, NAME, HASH)…) of all files and
// links at any depth below it, sorted by NAME as bytes, where NAME is the path from the directory.
// PIECE and HASH are hexadecimal digits. Directories without any file or link do not affect the
// hash.
#pragma once

#include <string>
#include <vector>

#include "src/inputs/derived_id.hpp"

namespace memolock {

/// Something to hash.
struct Source {
  std::string path;  ///< of a file, a directory, or a symbolic link to one
  int file = -1;     ///< an open regular file, whose `path` is only for messages; -1: open `path`
};

/// For each source, in the given order, its hash and, if it is a directory, the hashes of
/// everything in it. Their kinds are "file", "folder" (a directory) and "link", their names are
/// paths. Uses all processors for large inputs. Throws Error(usage) if something is missing, cannot
/// be read, changes meanwhile, or is neither a file, a directory nor, inside a directory, a
/// symbolic link.
[[nodiscard]] std::vector<std::vector<KeyPart>> hash_contents(const std::vector<Source>& sources);

}  // namespace memolock
