// Files that hold a secret, and who else can read them.
#pragma once

#include <optional>
#include <string>

namespace memolock {

/// Whether others than its owner can read the open file (O_PATH will do), and something can be done
/// about it: not what is no regular file, or has no name, or lies in /proc or on a file system that
/// is mounted read-only, as the secrets of containers do. Reading by its group is the choice of an
/// owner who is not this user.
[[nodiscard]] bool is_exposed(int file);

/// The name by which such a file, named `path`, can be had later too: of one that is named by a
/// descriptor, as /dev/stdin is, its own. Nothing when there is none.
[[nodiscard]] std::optional<std::string> lasting_name(const std::string& path, int file);

/// What to do about it, in words that begin with "run: " and can be pasted into a shell.
[[nodiscard]] std::string exposure_remedy(const std::string& path);

}  // namespace memolock
