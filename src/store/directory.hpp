// The directory of a local store: its default path, whether it may be used, and its creation. Any
// thread may call these functions.
#pragma once

#include <optional>
#include <string>

#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// Expands a leading "~" or "~/" to the home directory, as a shell does. Throws Error(usage) if
/// HOME is not set.
[[nodiscard]] std::string expand_home(const std::string& path);

/// Advice for a directory that cannot be used.
inline constexpr const char* choose_another_directory =
    "choose another directory with MEMOLOCK_CACHE_DIR";

/// The path of the store according to MEMOLOCK_CACHE_DIR, XDG_CACHE_HOME or HOME. Throws
/// Error(usage) for a relative MEMOLOCK_CACHE_DIR, Error(store) if none of them gives an absolute
/// path.
[[nodiscard]] std::string default_store_directory();

/// The URL file:///DIR, percent-escaped so that it can be pasted into a shell without quotes.
[[nodiscard]] std::string url_of_directory(const std::string& directory);

/// Advice for a store of this user in which only modes are wrong: "run: " and a command that works
/// in any shell. It is choose_another_directory if the directory cannot be examined or
/// why_not_repairable() is not empty.
[[nodiscard]] std::string advice_to_repair_modes(const std::string& directory);

/// What to do if the last component of the path is a symbolic link.
enum class SymlinkPolicy { follow, refuse };

/// Advice after opening the directory has failed with the errno `error`.
[[nodiscard]] std::string advice_after_open_error(const std::string& directory, int error);

/// Whether the path is a symbolic link that belongs to this user, root or the owner of `/`. No
/// other user may decide where the store is.
[[nodiscard]] bool may_follow(const std::string& directory);

/// Why modes must not be repaired in the directory with this `info`, whatever it contains: it is
/// sticky, the root directory or the home directory. Worded to follow the directory's name; empty
/// if they may be repaired.
[[nodiscard]] std::string why_not_repairable(const struct stat& info);

/// Opens the directory of a local store; empty if there is none. Throws Error(store) if it cannot
/// be opened, belongs to another user or is writable by others, or if it is a symbolic link and
/// `link` is `refuse` or may_follow() rejects it.
[[nodiscard]] Descriptor open_store_directory(const std::string& directory, SymlinkPolicy link);

/// The same, but creates the directory (0700), and those above it, if it is missing. Also throws
/// Error(store) if find_nearest_parent() finds a parent that is unusable.
[[nodiscard]] Descriptor make_store_directory(const std::string& directory, SymlinkPolicy link);

/// The nearest existing directory above one that is missing.
struct NearestParent {
  Descriptor directory;  ///< opened with O_PATH; empty, with `error` set, on failure
  std::string path;
  int error = 0;
  std::string why_unusable;  ///< why nothing may be created there; empty if that is permitted
  std::string advice;        ///< what to do about that
};

/// Finds the nearest parent of the missing `directory`. It is usable if it belongs to this user,
/// root or the owner of `/`, and others cannot write there or, as in /tmp, cannot replace files of
/// other users. It is unusable if the home directory is missing, because that is never created.
[[nodiscard]] NearestParent find_nearest_parent(const std::string& directory);

/// Whether the path is absolute and names a directory of this user that is not writable by others.
[[nodiscard]] bool is_private_directory(const std::string& path);

}  // namespace memolock
