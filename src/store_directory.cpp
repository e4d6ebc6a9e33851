#include "src/store_directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/folder.hpp"
#include "src/key.hpp"
#include "src/percent.hpp"

namespace memolock {
namespace {

constexpr const char* cache_variable = "MEMOLOCK_CACHE_DIR";
constexpr std::string_view anothers = " belongs to another user";
constexpr mode_t others_write = S_IWGRP | S_IWOTH;

/// The value of a variable that is to hold an absolute path; empty: it has none.
std::string absolute_path_in(const char* name) {
  const char* const value = getenv(name);
  return value != nullptr && *value == '/' ? value : "";
}

/// Empty, with errno set, where `path` is no link.
Descriptor follow(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return {};
  if (!may_follow(path)) throw store_error("the store " + path + " is another user's link");
  return Descriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// Whether the home directory is missing though it is `directory` or leads to it.
bool lacks_home(const std::string& directory) {
  std::string home = std::filesystem::path(absolute_path_in("HOME")).lexically_normal();
  while (home.ends_with('/')) home.pop_back();
  if (home.empty() || !directory.starts_with(home)) return false;
  if (directory.size() > home.size() && directory[home.size()] != '/') return false;
  return access(home.c_str(), F_OK) != 0 && errno == ENOENT;
}

/// A group of the user's own number is taken for the private group that systems give each user.
bool is_private_group(gid_t group) { return group == getegid() && group == own_user(); }

/// Whether others can put something else in the place of what is made in this folder.
bool others_can_replace(const struct stat& info) {
  if ((info.st_mode & S_ISVTX) != 0) return false;
  return (info.st_mode & S_IWOTH) != 0 ||
         ((info.st_mode & S_IWGRP) != 0 && !is_private_group(info.st_gid));
}

std::string fault_of(const std::string& path, int folder) {
  struct stat info {};
  if (fstat(folder, &info) != 0) return path + ": " + error_in_sentence(errno);
  if (info.st_uid != own_user() && info.st_uid != 0) return path + std::string(anothers);
  return others_can_replace(info) ? "others may write in " + path : "";
}

}  // namespace

std::string remedy_of_opening(const std::string& directory, int error) {
  struct stat info {};
  // Of this user's own, the mode is the reason.
  const bool by_mode = error == EACCES && stat(directory.c_str(), &info) == 0 &&
                       S_ISDIR(info.st_mode) && info.st_uid == own_user();
  return by_mode ? mode_remedy(directory) : choose_another;
}

bool may_follow(const std::string& directory) {
  struct stat info {};
  return lstat(directory.c_str(), &info) == 0 && S_ISLNK(info.st_mode) &&
         (info.st_uid == own_user() || info.st_uid == 0);
}

bool is_home(const struct stat& info) {
  struct stat home {};
  const std::string path = absolute_path_in("HOME");
  return !path.empty() && stat(path.c_str(), &home) == 0 && home.st_dev == info.st_dev &&
         home.st_ino == info.st_ino;
}

std::string expand_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const std::string home = absolute_path_in("HOME");
  if (home.empty())
    throw usage_error(fmt::format("'{}': HOME names no directory", escape_controls(path)));
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
  // The base directory specification: a relative path there is to be ignored.
  if (const auto cache = absolute_path_in("XDG_CACHE_HOME"); !cache.empty())
    return cache + "/memolock";
  if (const auto home = absolute_path_in("HOME"); !home.empty()) return home + "/.cache/memolock";
  throw store_error(
      "no place for the local store: neither MEMOLOCK_CACHE_DIR, XDG_CACHE_HOME nor HOME names a "
      "directory");
}

std::string url_of_directory(const std::string& directory) {
  std::string url = "file://";
  for (const char c : directory) url += c == '/' ? "/" : percent_escape(std::string_view(&c, 1));
  return url;
}

std::string mode_remedy(const std::string& directory) {
  std::string remedy = "run: memolock doctor --fix";
  bool is_default = false;
  try {
    // Without what the URL of a store might add to the variable.
    const std::string usual = std::filesystem::path(default_store_directory()).lexically_normal();
    is_default = usual == directory && getenv("MEMOLOCK_STORE") == nullptr;
  } catch (const Error&) {
    // There is none.
  }
  if (!is_default) remedy += " --store " + url_of_directory(directory);
  return remedy;
}

Descriptor open_store_directory(const std::string& directory, DirectoryLink link) {
  Descriptor root = open_folder(AT_FDCWD, directory);
  if (!root && errno != ENOENT && link == DirectoryLink::follow) root = follow(directory);
  if (!root && errno == ENOENT) return root;
  struct stat info {};
  if (!root || fstat(root.get(), &info) != 0) {
    const int error = errno;
    throw store_error("cannot open the store " + directory + ": " + error_text(error) + "; " +
                      remedy_of_opening(directory, error));
  }
  if (info.st_uid != own_user())
    throw store_error("the store " + directory + std::string(anothers));
  if ((info.st_mode & others_write) != 0)
    throw store_error("others may write in the store " + directory + "; " + mode_remedy(directory));
  return root;
}

Descriptor make_store_directory(const std::string& directory, DirectoryLink link) {
  Descriptor root = open_store_directory(directory, link);
  if (root) return root;
  if (const Place place = find_place(directory); !place.fault.empty())
    throw store_error("cannot make the store " + directory + ": " + place.fault + "; " +
                      place.remedy);
  make_directories(directory);
  root = open_store_directory(directory, link);
  if (!root) throw system_error("cannot open the store " + directory, ENOENT);
  return root;
}

Place find_place(const std::string& directory) {
  Place place;
  place.path = directory;
  place.error = ENOENT;
  while (!place.folder && place.error == ENOENT && place.path != "/") {
    // A link to nowhere: what it names can neither be opened nor made.
    if (faccessat(AT_FDCWD, place.path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) break;
    place.path.resize(std::max<size_t>(place.path.rfind('/'), 1));
    place.folder.reset(open(place.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    place.error = place.folder ? 0 : errno;
  }
  if (lacks_home(directory)) {
    place.fault = "the home directory does not exist";
  } else if (place.folder) {
    place.fault = fault_of(place.path, place.folder.get());
  }
  place.remedy = choose_another;
  if (own_user() == 0 && place.fault.ends_with(anothers))
    place.remedy = "use 'sudo -H', or " + place.remedy;
  return place;
}

bool is_private_directory(const std::string& path) {
  if (!path.starts_with('/')) return false;
  const Descriptor folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  return folder && fstat(folder.get(), &info) == 0 && info.st_uid == own_user() &&
         (info.st_mode & others_write) == 0;
}

}  // namespace memolock
