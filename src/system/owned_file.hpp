// Regular files of this user in a directory to which others may be able to write. They are opened
// without blocking or following links, and compared by device and inode.
//
// Any thread may call these functions.
#pragma once

#include <cstdint>
#include <string>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// An open regular file of this user, with its sizes and time of last use when it was opened. These
/// are not updated.
struct OwnedFile {
  Descriptor descriptor;
  uint64_t size = 0;         ///< bytes
  uint64_t disk_size = 0;    ///< the bytes that removing it would free
  Nanoseconds last_used{0};  ///< wall clock, to the hour; when it was last replayed or written

  explicit operator bool() const { return static_cast<bool>(descriptor); }
  [[nodiscard]] int get() const { return descriptor.get(); }
  /// A second descriptor of the same open file; empty if the process has no descriptors left.
  [[nodiscard]] OwnedFile duplicate() const;
};

/// Wraps an open file whose fstat(2) result is `info`.
[[nodiscard]] OwnedFile owned_file(Descriptor file, const struct stat& info);

/// Opens `name` in the open directory `directory`. `flags`: as for open(2). Never creates the file,
/// blocks, follows a symbolic link in the last component, or updates the access time. Empty, with
/// errno set, on failure: ELOOP for a symbolic link, EPERM for a file of another user and for
/// anything but a regular file.
[[nodiscard]] OwnedFile open_owned_file(int directory, const std::string& name, int flags);

/// Whether both results of stat(2) describe the same file.
[[nodiscard]] bool is_same_file(const struct stat& a, const struct stat& b) noexcept;

/// Whether two descriptors refer to the same file. False if either cannot be examined.
[[nodiscard]] bool is_same_file(int a, int b) noexcept;

/// Whether `name` in `directory` is the file that is open as `file`. The name may change after the
/// call: before acting on the result, hold a lock that prevents that.
[[nodiscard]] bool is_same_file(int directory, const std::string& name, int file) noexcept;

/// Unlinks `name` in `directory` if it is the file that is open as `file`. Requires the same lock.
void remove_if_same_file(int directory, const std::string& name, int file) noexcept;

}  // namespace memolock
