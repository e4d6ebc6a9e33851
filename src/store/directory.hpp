// The directory of a local store: where it is when nobody names one, whether it is fit, and how it
// is made.
#pragma once

#include <optional>
#include <string>

#include "src/system/descriptor.hpp"

struct stat;

namespace memolock {

/// A path whose leading "~" or "~/" stands for the home directory, as a shell would expand it.
/// Throws Error(usage) where there is no home.
[[nodiscard]] std::string expand_home(const std::string& path);

/// The words of a remedy.
inline constexpr const char* choose_another = "choose another directory with MEMOLOCK_CACHE_DIR";

/// The store's directory by MEMOLOCK_CACHE_DIR, XDG_CACHE_HOME or HOME. Throws Error(usage) for a
/// relative MEMOLOCK_CACHE_DIR, Error(store) when none of them is set.
[[nodiscard]] std::string default_store_directory();

/// file:///DIR, without a character that a shell would not leave as it is.
[[nodiscard]] std::string url_of_directory(const std::string& directory);

/// What to do where only modes are wrong in an own store: words that begin with "run: " and can be
/// pasted into any shell, or choose_another where fault_of_repair() says something.
[[nodiscard]] std::string mode_remedy(const std::string& directory);

/// What to do where only the directory's own name is a symbolic link.
enum class DirectoryLink { follow, refuse };

/// What to do where the directory cannot be opened.
[[nodiscard]] std::string remedy_of_opening(const std::string& directory, int error);

/// Whether what this name is a link to is taken for the store: unless another user than root, or
/// the owner of `/`, has made the link, who must not choose where the store is.
[[nodiscard]] bool may_follow(const std::string& directory);

/// Why the modes of a store there are not to be repaired, whatever is in it, in words that follow
/// its name: it is sticky, the root directory or the user's home. Empty: they may be.
[[nodiscard]] std::string fault_of_repair(const struct stat& info);

/// The directory of a local store; empty when there is none. Throws Error(store) when it cannot be
/// opened, belongs to another user, or others may write in it. A link of another user's but root's
/// is not followed.
[[nodiscard]] Descriptor open_store_directory(const std::string& directory, DirectoryLink link);

/// The same, made (0700) with what leads to it if there is none, unless find_place() has a fault.
[[nodiscard]] Descriptor make_store_directory(const std::string& directory, DirectoryLink link);

/// Where a directory that is missing would be made.
struct Place {
  Descriptor folder;  ///< the nearest existing one above it (O_PATH); empty, with errno in `error`
  std::string path;
  int error = 0;
  std::string fault;   ///< why nothing is to be made there; empty: it may be
  std::string remedy;  ///< what to do about the fault
};

/// The place of `directory`, which is missing. One will do that is this user's, root's or that of
/// the owner of `/`, and in which nobody else can write or, as in /tmp, replace what others have
/// made; the home directory is never made.
[[nodiscard]] Place find_place(const std::string& directory);

/// Whether the path is absolute, and a directory of this user's own in which nobody else may write.
[[nodiscard]] bool is_private_directory(const std::string& path);

}  // namespace memolock
