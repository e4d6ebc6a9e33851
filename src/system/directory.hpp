// Directories and what is created in them: with modes that do not depend on the umask, and read one
// name at a time.
//
// Any thread may call these functions. What the store creates is created with make_directory(),
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

/// The effective user at the start of this process, who owns the files that it creates. Costs no
/// system call.
[[nodiscard]] uid_t user_at_start();

/// Creates the directory `name` below `parent`, or a path with AT_FDCWD: mode 0700, whatever the
/// umask. Returns 0 or an errno.
[[nodiscard]] int make_directory(int parent, const std::string& name);

/// Creates a FIFO likewise: mode 0600.
[[nodiscard]] int make_fifo_file(int parent, const std::string& name);

/// Opens the file `name` below `parent`, and creates it with mode 0600, whatever the umask, if it
/// is missing. `flags`: as of open(2), O_TMPFILE included; O_CREAT, O_CLOEXEC and O_NOFOLLOW are
/// added. Empty, with errno set, on failure.
[[nodiscard]] Descriptor make_file(int parent, const std::string& name, int flags);

/// Creates a directory (0700) and those above it that are missing. Throws Error(store).
void make_directories(const std::string& path);

/// Opens a directory of this user in one where anybody may create names; empty when there is none.
/// Throws Error(store) when it cannot be opened, belongs to another user, or others may write in
/// it.
[[nodiscard]] Descriptor open_private_directory(const std::string& path);

/// The same, created if it is missing, and with the permissions `mode`, whatever the umask.
[[nodiscard]] Descriptor make_private_directory(const std::string& path, mode_t mode);

/// Opens the directory `name` below `parent`, or a path with AT_FDCWD; empty, with errno set, on
/// failure: ELOOP or ENOTDIR for a symbolic link.
[[nodiscard]] Descriptor open_directory(int parent, const std::string& name);

/// As open(2), of a path of any length; the kernel takes less than PATH_MAX bytes at once.
[[nodiscard]] Descriptor open_path(std::string_view path, int flags);

/// Whether the file of `info` was last modified longer than `age` ago by the clock of this machine.
[[nodiscard]] bool is_older(const struct stat& info, Nanoseconds age);

/// What to do about a directory that is to be opened and is missing.
enum class IfMissing { make, leave };

/// Reads the names in a directory, in no order, without "." and "..". Names that are created or
/// removed meanwhile may or may not be among them. One thread may use a reader.
class DirectoryReader {
 public:
  /// Reads an open directory from the position of its descriptor. An empty reader, with error()
  /// set, when `directory` is empty (then errno says why) or there is no memory.
  explicit DirectoryReader(Descriptor directory) noexcept;
  ~DirectoryReader();
  DirectoryReader(const DirectoryReader&) = delete;
  DirectoryReader& operator=(const DirectoryReader&) = delete;

  explicit operator bool() const noexcept { return stream_ != nullptr; }
  /// The descriptor that it reads, for calls such as fstatat(2). Not of an empty reader.
  [[nodiscard]] int descriptor() const noexcept;

  /// The next name, valid until the next call; null at the end, and when the directory cannot be
  /// read.
  [[nodiscard]] const char* next() noexcept;
  /// The errno of what failed last; 0: nothing.
  [[nodiscard]] int error() const noexcept { return error_; }

 private:
  DIR* stream_;
  int error_ = 0;
};

/// Whether names that begin with a dot are among those read.
enum class DotNames { skip, show };

/// Calls `each` with every name in the directory `name` below `parent`, with a DirectoryReader. A
/// directory that cannot be read is treated as an empty one.
void for_each_name(int parent, const std::string& name, DotNames hidden,
                   const std::function<void(const std::string&)>& each);

}  // namespace memolock
