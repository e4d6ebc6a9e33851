// Folders, and what lies in them: made for one user, and read a name at a time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// The user whose files this process makes; that of its start.
[[nodiscard]] uid_t own_user();

/// Makes the folder `name` below `folder`, or with AT_FDCWD a path: mode 0700, whatever the umask.
/// Returns 0 or an errno. What the store makes is made by these three.
[[nodiscard]] int make_folder(int folder, const std::string& name);

/// The same of a FIFO, mode 0600.
[[nodiscard]] int make_fifo_file(int folder, const std::string& name);

/// Opens the file `name` below `folder`, made with mode 0600, whatever the umask, where it is
/// missing. `flags`: as of open(2), O_TMPFILE included; O_CREAT, O_CLOEXEC and O_NOFOLLOW are
/// added. Empty, with errno set, when it cannot.
[[nodiscard]] Descriptor make_file(int folder, const std::string& name, int flags);

/// Makes a directory (0700) and what leads to it. Throws Error(store).
void make_directories(const std::string& path);

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

/// What to do where what is to be opened is missing.
enum class Missing { make, leave };

enum class Hidden { skip, show };

/// Calls `each` with the names in the folder `name` below `folder`, in no order; none when it
/// cannot be read. Names that come or go meanwhile may be among them.
void each_name(int folder, const std::string& name, Hidden hidden,
               const std::function<void(const std::string&)>& each);

}  // namespace memolock
