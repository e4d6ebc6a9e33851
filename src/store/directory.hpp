// The directory of a local store: its default path, whether it is fit to be used, and how it is
// created. Any thread may call these functions.
#pragma once

#include <optional>
#include <string>

#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// Expands a leading "~" or "~/" to the home directory, as a shell does. Throws Error(usage) when
/// HOME is not set.
[[nodiscard]] std::string expand_home(const std::string& path);

/// A remedy.
inline constexpr const char* choose_another_directory =
    "choose another directory with MEMOLOCK_CACHE_DIR";

/// The path of the store according to MEMOLOCK_CACHE_DIR, XDG_CACHE_HOME or HOME. Throws
/// Error(usage) for a relative MEMOLOCK_CACHE_DIR, Error(store) when none of them is set.
[[nodiscard]] std::string default_store_directory();

/// file:///DIR, with every character escaped that is special to a shell.
[[nodiscard]] std::string url_of_directory(const std::string& directory);

/// The remedy when only modes are wrong in a store of this user: "run: " and a command that can be
/// pasted into any shell, or choose_another_directory when why_not_repairable() is not empty.
[[nodiscard]] std::string advice_to_repair_modes(const std::string& directory);

/// What to do when the last component of the path is a symbolic link.
enum class SymlinkPolicy { follow, refuse };

/// The remedy when opening the directory has failed with `error`.
[[nodiscard]] std::string advice_after_open_error(const std::string& directory, int error);

/// Whether the path is a symbolic link that this user, root or the owner of `/` has created. Others
/// must not determine where the store is.
[[nodiscard]] bool may_follow(const std::string& directory);

/// Why the modes in this directory are not to be repaired, whatever it contains, to follow its
/// name: it is sticky, the root directory or the home directory. Empty: they may be.
[[nodiscard]] std::string why_not_repairable(const struct stat& info);

/// Opens the directory of a local store; empty when there is none. Throws Error(store) when it
/// cannot be opened, belongs to another user, others may write in it, or it is a link that
/// may_follow() rejects.
[[nodiscard]] Descriptor open_store_directory(const std::string& directory, SymlinkPolicy link);

/// The same, but creates it (0700) and the directories above it if they are missing. Throws
/// Error(store) also when find_nearest_parent() has a fault.
[[nodiscard]] Descriptor make_store_directory(const std::string& directory, SymlinkPolicy link);

/// The nearest existing directory above one that is missing.
struct NearestParent {
  Descriptor directory;  ///< O_PATH; empty, with `error` set, when it cannot be opened
  std::string path;
  int error = 0;
  std::string fault;   ///< why nothing is to be created there; empty: it may be
  std::string remedy;  ///< what to do about the fault
};

/// Finds that of `directory`, which is missing. It has no fault if it belongs to this user, root or
/// the owner of `/`, and nobody else can write there or, as in /tmp, replace what others have
/// created. A missing home directory is a fault: it is never created.
[[nodiscard]] NearestParent find_nearest_parent(const std::string& directory);

/// Whether the path is absolute and that of a directory of this user in which nobody else may
/// write.
[[nodiscard]] bool is_private_directory(const std::string& path);

}  // namespace memolock
