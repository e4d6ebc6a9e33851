// Folders: made, and read a name at a time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "src/clock.hpp"
#include "src/descriptor.hpp"

struct stat;

namespace memolock {

/// Makes a directory (0700) and what leads to it. Throws Error(store).
void make_directories(const std::string& path);

/// What to do where the directory's own name is a symbolic link.
enum class DirectoryLink { follow, refuse };

/// The directory of a local store; empty when there is none. Throws Error(store) when it cannot be
/// opened, belongs to another user, or others may write in it. A link of another user's but root's
/// is not followed.
[[nodiscard]] Descriptor open_store_directory(const std::string& directory, DirectoryLink link);

/// The same, made if there is none.
[[nodiscard]] Descriptor make_store_directory(const std::string& directory, DirectoryLink link);

/// A directory of this user's in one where anybody may make names; empty when there is none. Throws
/// Error(store) when it cannot be opened, belongs to another user, or others may write in it.
[[nodiscard]] Descriptor open_own_directory(const std::string& path);

/// The same, made if there is none, and with the permissions `mode` whatever the umask.
[[nodiscard]] Descriptor make_own_directory(const std::string& path, mode_t mode);

/// Opens a folder below `folder`, or with AT_FDCWD a path; empty, with errno set, when it cannot.
/// A symbolic link in its place is ELOOP or ENOTDIR.
[[nodiscard]] Descriptor open_folder(int folder, const std::string& name);

/// As open(2), of a path of any length; the kernel takes less than PATH_MAX bytes at once.
[[nodiscard]] Descriptor open_path(std::string_view path, int flags);

/// Whether nothing has been written to the file of `info` for `age`, by the clock of this machine.
[[nodiscard]] bool is_older(const struct stat& info, Nanoseconds age);

enum class Hidden { skip, show };

/// Calls `each` with the names in the folder `name` below `folder`, in no order; none when it
/// cannot be read. Names that come or go meanwhile may be among them.
void each_name(int folder, const std::string& name, Hidden hidden,
               const std::function<void(const std::string&)>& each);

}  // namespace memolock
