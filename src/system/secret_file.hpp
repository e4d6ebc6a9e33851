// Files that hold a secret, and whether other users can read them.
#pragma once

#include <optional>
#include <string>

namespace memolock {

/// Whether other users can read the open file (O_PATH suffices) and its mode can be changed. False
/// for what is not a regular file, has no name, or is in /proc or on a read-only file system, as
/// the secrets of containers are. A group may read the file of an owner other than this user.
[[nodiscard]] bool is_exposed(int file);

/// A path by which the open file, which was opened as `path`, can be opened again later: for the
/// name of a descriptor, such as /dev/stdin, that of the file. Nothing if there is none.
[[nodiscard]] std::optional<std::string> reopenable_path(const std::string& path, int file);

/// How to fix the mode: "run: " and a command to paste into a shell.
[[nodiscard]] std::string exposure_advice(const std::string& path);

}  // namespace memolock
