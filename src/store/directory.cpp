#include "src/store/directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"
#include "src/system/percent.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr const char* cache_variable = "MEMOLOCK_CACHE_DIR";
constexpr std::string_view owned_by_another = " belongs to another user";
constexpr mode_t others_write = S_IWGRP | S_IWOTH;

/// The value of a variable if it is an absolute path; otherwise empty.
std::string absolute_path_in(const char* name) {
  const char* const value = getenv(name);
  return value != nullptr && *value == '/' ? value : "";
}

/// Opens the directory that a symbolic link refers to. Empty, with errno set, on failure or if
/// `path` is not a link. Throws Error(store) if may_follow() rejects the link.
Descriptor follow(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return {};
  if (!may_follow(path))
    throw store_error("the store " + path + " is a symbolic link of another user");
  return Descriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// Whether `directory` is the home directory or below it, and the home directory is missing.
bool lacks_home(const std::string& directory) {
  std::string home = std::filesystem::path(absolute_path_in("HOME")).lexically_normal();
  while (home.ends_with('/')) home.pop_back();
  if (home.empty() || !directory.starts_with(home)) return false;
  if (directory.size() > home.size() && directory[home.size()] != '/') return false;
  return access(home.c_str(), F_OK) != 0 && errno == ENOENT;
}

bool is_at(const std::string& path, const struct stat& info) {
  struct stat other {};
  return !path.empty() && stat(path.c_str(), &other) == 0 && is_same_file(info, other);
}

/// default_store_directory(), normalized; empty if there is none.
std::string usual_directory() {
  try {
    return std::filesystem::path(default_store_directory()).lexically_normal();
  } catch (const Error&) {
    return "";
  }
}

/// A group with the user's own id is assumed to be the private group that many systems create for
/// each user.
bool is_private_group(gid_t group) { return group == getegid() && group == user_at_start(); }

/// Whether others can replace files that are created in this directory.
bool others_can_replace(const struct stat& info) {
  if ((info.st_mode & S_ISVTX) != 0) return false;
  return (info.st_mode & S_IWOTH) != 0 ||
         ((info.st_mode & S_IWGRP) != 0 && !is_private_group(info.st_gid));
}

/// Whether the owner is this user, root, or the owner of `/`, who controls everything below it: in
/// a user namespace to which root is not mapped, root's files seem to belong to another user.
bool is_trusted(uid_t owner) {
  if (owner == user_at_start() || owner == 0) return true;
  struct stat top {};
  return stat("/", &top) == 0 && owner == top.st_uid;
}

/// Sets `why_unusable` and `advice`.
void examine(NearestParent& parent) {
  struct stat info {};
  parent.advice = choose_another_directory;
  if (fstat(parent.directory.get(), &info) != 0) {
    parent.why_unusable = parent.path + ": " + lowercase_error_text(errno);
  } else if (!is_trusted(info.st_uid)) {
    parent.why_unusable = parent.path + std::string(owned_by_another);
    if (user_at_start() == 0 && getenv("SUDO_UID") != nullptr)
      parent.advice = fmt::format("use 'sudo -H', or {}", choose_another_directory);
  } else if (others_can_replace(info)) {
    parent.why_unusable = "other users can write to " + parent.path;
    // A directory is writable for everybody only on purpose.
    if (info.st_uid == user_at_start() && (info.st_mode & S_IWOTH) == 0)
      parent.advice = "run: chmod go-w " + quote_for_shell(parent.path);
  }
}

}  // namespace

std::string advice_after_open_error(const std::string& directory, int error) {
  struct stat info {};
  // If the directory belongs to this user, its mode is the cause.
  const bool by_mode = error == EACCES && stat(directory.c_str(), &info) == 0 &&
                       S_ISDIR(info.st_mode) && info.st_uid == user_at_start();
  return by_mode ? advice_to_repair_modes(directory) : choose_another_directory;
}

bool may_follow(const std::string& directory) {
  struct stat info {};
  return lstat(directory.c_str(), &info) == 0 && S_ISLNK(info.st_mode) && is_trusted(info.st_uid);
}

std::string why_not_repairable(const struct stat& info) {
  if ((info.st_mode & S_ISVTX) != 0) return "is a directory that several users share (sticky)";
  if (is_at("/", info)) return "is the root directory";
  if (is_at(absolute_path_in("HOME"), info)) return "is the home directory";
  return "";
}

std::string expand_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const std::string home = absolute_path_in("HOME");
  if (home.empty())
    throw usage_error(fmt::format("'{}': HOME is not an absolute path", escape_controls(path)));
  return home + path.substr(1);
}

std::string default_store_directory() {
  if (const char* const own = getenv(cache_variable); own != nullptr && *own != '\0') {
    std::string path;
    try {
      path = expand_home(own);
    } catch (const Error& error) {
      throw usage_error(std::string(cache_variable) + ": " + error.what());
    }
    if (path.starts_with('/')) return path;
    throw usage_error(
        fmt::format("{}: '{}' is not an absolute path", cache_variable, escape_controls(path)));
  }
  // According to the XDG Base Directory Specification, a relative path is ignored.
  if (const auto cache = absolute_path_in("XDG_CACHE_HOME"); !cache.empty())
    return cache + "/memolock";
  if (const auto home = absolute_path_in("HOME"); !home.empty()) return home + "/.cache/memolock";
  throw store_error(
      "no directory for the local store: set MEMOLOCK_CACHE_DIR, XDG_CACHE_HOME or HOME to an "
      "absolute "
      "directory");
}

std::string url_of_directory(const std::string& directory) {
  std::string url = "file://";
  for (const char c : directory) url += c == '/' ? "/" : percent_escape(std::string_view(&c, 1));
  return url;
}

std::string advice_to_repair_modes(const std::string& directory) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0 || !why_not_repairable(info).empty())
    return choose_another_directory;
  std::string remedy = "run: memolock doctor --fix";
  // The shell in which the command is run may have other values of these variables.
  constexpr std::array variables{"MEMOLOCK_STORE", cache_variable, "XDG_CACHE_HOME"};
  const bool is_usual = std::none_of(variables.begin(), variables.end(),
                                     [](const char* name) { return getenv(name) != nullptr; }) &&
                        directory == usual_directory();
  if (!is_usual) remedy += " --store " + url_of_directory(directory);
  return remedy;
}

Descriptor open_store_directory(const std::string& directory, SymlinkPolicy link) {
  Descriptor root = open_directory(AT_FDCWD, directory);
  if (!root && errno != ENOENT && link == SymlinkPolicy::follow) root = follow(directory);
  if (!root && errno == ENOENT) return root;
  struct stat info {};
  if (!root || fstat(root.get(), &info) != 0) {
    const int error = errno;
    throw store_error("cannot open the store " + directory + ": " + error_text(error) + "; " +
                      advice_after_open_error(directory, error));
  }
  if (info.st_uid != user_at_start())
    throw store_error("the store " + directory + std::string(owned_by_another));
  if ((info.st_mode & others_write) != 0)
    throw store_error("other users can write to the store " + directory + "; " +
                      advice_to_repair_modes(directory));
  return root;
}

Descriptor make_store_directory(const std::string& directory, SymlinkPolicy link) {
  Descriptor root = open_store_directory(directory, link);
  if (root) return root;
  if (const NearestParent parent = find_nearest_parent(directory); !parent.why_unusable.empty())
    throw store_error("cannot create the store " + directory + ": " + parent.why_unusable + "; " +
                      parent.advice);
  try {
    make_directories(directory);
  } catch (const Error& error) {
    throw store_error(std::string(error.what()) + "; " + choose_another_directory);
  }
  root = open_store_directory(directory, link);
  if (!root) throw system_error("cannot open the store " + directory, ENOENT);
  return root;
}

NearestParent find_nearest_parent(const std::string& directory) {
  NearestParent parent;
  parent.path = directory;
  parent.error = ENOENT;
  while (!parent.directory && parent.error == ENOENT && parent.path != "/") {
    // A dangling symbolic link can neither be opened nor replaced by a directory.
    if (faccessat(AT_FDCWD, parent.path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) break;
    parent.path.resize(std::max<size_t>(parent.path.rfind('/'), 1));
    parent.directory.reset(open(parent.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    parent.error = parent.directory ? 0 : errno;
  }
  if (lacks_home(directory)) {
    parent.why_unusable = "the home directory does not exist";
    parent.advice = choose_another_directory;
  } else if (parent.directory) {
    examine(parent);
  }
  return parent;
}

bool is_private_directory(const std::string& path) {
  if (!path.starts_with('/')) return false;
  const Descriptor opened(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  return opened && fstat(opened.get(), &info) == 0 && info.st_uid == user_at_start() &&
         (info.st_mode & others_write) == 0;
}

}  // namespace memolock
