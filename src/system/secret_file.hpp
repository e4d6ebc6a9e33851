// Detects whether other users can read a file that contains a secret, and gives advice.
#pragma once

#include <optional>
#include <string>

namespace memolock {

/// Whether other users can read the open file (O_PATH suffices) and its mode can be changed. False
/// for anything but a regular file, for a file without a name, and for a file in /proc or on a
/// read-only file system, where containers have their secrets. If the file belongs to another user,
/// its group may read it.
[[nodiscard]] bool is_exposed(int file);

/// A path by which the file that was opened as `path`, and is open as `file`, can be opened again
/// later. If `path` is the name of a descriptor, such as /dev/stdin, this is the path of the
/// descriptor's file. Nothing if there is no such path.
[[nodiscard]] std::optional<std::string> reopenable_path(const std::string& path, int file);

/// How to fix the mode of `path`: "run: " and a command to paste into a shell.
[[nodiscard]] std::string exposure_advice(const std::string& path);

}  // namespace memolock
