// Creates files and directories with modes that do not depend on the umask, and reads directories
// one name at a time.
//
// Any thread may call these functions. The store creates everything with make_directory(),
// make_fifo_file() and make_file(), so that it is private to this user.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// The effective user at the start of this process, which owns the files that it creates. Costs no
/// system call.
[[nodiscard]] uid_t user_at_start();

/// Creates the directory `name` below `parent`, or a path with AT_FDCWD: mode 0700, whatever the
/// umask. Returns 0 or an errno.
[[nodiscard]] int make_directory(int parent, const std::string& name);

/// Creates a FIFO likewise: mode 0600.
[[nodiscard]] int make_fifo_file(int parent, const std::string& name);

/// Opens the file `name` below `parent`, and creates it with mode 0600, whatever the umask, if it
/// is missing. `flags`: as for open(2), including O_TMPFILE; O_CREAT, O_CLOEXEC and O_NOFOLLOW are
/// added. Empty, with errno set, on failure.
[[nodiscard]] Descriptor make_file(int parent, const std::string& name, int flags);

/// Creates a directory (mode 0700) and those above it that are missing. Throws Error(store).
void make_directories(const std::string& path);

/// Opens a directory of this user inside a directory that is writable by everybody, such as /tmp.
/// Empty if it does not exist. Throws Error(store) if it cannot be opened, belongs to another user,
/// or is writable by others.
[[nodiscard]] Descriptor open_private_directory(const std::string& path);

/// The same, but creates the directory if it is missing, and gives it the permissions `mode`,
/// whatever the umask.
[[nodiscard]] Descriptor make_private_directory(const std::string& path, mode_t mode);

/// Opens the directory `name` below `parent`, or a path with AT_FDCWD; empty, with errno set, on
/// failure: ELOOP or ENOTDIR for a symbolic link.
[[nodiscard]] Descriptor open_directory(int parent, const std::string& name);

/// Opens a path as open(2) does, but of any length; the kernel accepts only paths shorter than
/// PATH_MAX.
[[nodiscard]] Descriptor open_path(std::string_view path, int flags);

/// Whether the file whose stat(2) result is `info` was last modified more than `age` ago, or in the
/// future, by this machine's clock.
[[nodiscard]] bool is_older(const struct stat& info, Nanoseconds age);

/// What to do if a directory that is to be opened is missing.
enum class IfMissing { make, leave };

/// Reads the names in a directory, in no particular order, without "." and "..". Names that are
/// created or removed meanwhile may or may not be among them. Used by one thread.
class DirectoryReader {
 public:
  /// Reads an open directory from the position of its descriptor. The reader is empty, with error()
  /// set, if `directory` is empty (error() is then the current errno) or there is no memory.
  explicit DirectoryReader(Descriptor directory) noexcept;
  ~DirectoryReader();
  DirectoryReader(const DirectoryReader&) = delete;
  DirectoryReader& operator=(const DirectoryReader&) = delete;

  explicit operator bool() const noexcept { return stream_ != nullptr; }
  /// The descriptor of the directory, for calls such as fstatat(2). Requires a reader that is not
  /// empty.
  [[nodiscard]] int descriptor() const noexcept;

  /// The next name, valid until the next call; null at the end and if the directory cannot be read.
  [[nodiscard]] const char* next() noexcept;
  /// The errno of the last failure; 0 if nothing has failed.
  [[nodiscard]] int error() const noexcept { return error_; }

 private:
  DIR* stream_;
  int error_ = 0;
};

/// Whether names that begin with a dot are among those read.
enum class DotNames { skip, show };

/// Calls `each` with every name in the directory `name` below `parent`. A directory that cannot be
/// read is treated as an empty one.
void for_each_name(int parent, const std::string& name, DotNames dot_names,
                   const std::function<void(const std::string&)>& each);

}  // namespace memolock
