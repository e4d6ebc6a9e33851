#include "src/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "src/error.hpp"

namespace memolock {
namespace {

/// Follows a link that this user has made, or root: who else may write beside the store must not
/// choose where it is. Empty, with errno set, where `path` is no link.
Descriptor follow(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return {};
  if (info.st_uid != geteuid() && info.st_uid != 0)
    throw store_error("the store " + path + " is another user's link");
  return Descriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// As the function of that name; `info`: what it is then.
Descriptor open_own_directory(const std::string& path, struct stat& info) {
  Descriptor folder = open_folder(AT_FDCWD, path);
  if (!folder && errno == ENOENT) return folder;
  const int error = errno;
  const int failed = folder ? fstat(folder.get(), &info) : lstat(path.c_str(), &info);
  if (failed == 0 && info.st_uid != geteuid()) throw store_error(path + " belongs to another user");
  if (!folder || failed != 0) throw system_error("cannot open " + path, folder ? errno : error);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw store_error("others may write in " + path + "; run: chmod go-w " + path);
  return folder;
}

}  // namespace

void make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      throw system_error("cannot make " + part, errno);
    if (slash == std::string::npos) return;
  }
}

Descriptor open_store_directory(const std::string& directory, DirectoryLink link) {
  Descriptor root = open_folder(AT_FDCWD, directory);
  if (!root && errno != ENOENT && link == DirectoryLink::follow) root = follow(directory);
  if (!root && errno == ENOENT) return root;
  struct stat info {};
  if (!root || fstat(root.get(), &info) != 0)
    throw system_error("cannot open the store " + directory, errno);
  if (info.st_uid != geteuid())
    throw store_error("the store " + directory + " belongs to another user");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw store_error("others may write in the store " + directory + "; run: chmod go-w " +
                      directory);
  return root;
}

Descriptor make_store_directory(const std::string& directory, DirectoryLink link) {
  Descriptor root = open_store_directory(directory, link);
  if (root) return root;
  make_directories(directory);
  root = open_store_directory(directory, link);
  if (!root) throw system_error("cannot open the store " + directory, ENOENT);
  return root;
}

Descriptor open_own_directory(const std::string& path) {
  struct stat info {};
  return open_own_directory(path, info);
}

Descriptor make_own_directory(const std::string& path, mode_t mode) {
  constexpr mode_t all_mode_bits = 07777;
  struct stat info {};
  Descriptor folder = open_own_directory(path, info);
  if (!folder) {
    if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
      throw system_error("cannot make " + path, errno);
    folder = open_own_directory(path, info);
    if (!folder) throw system_error("cannot open " + path, ENOENT);
  }
  if ((info.st_mode & all_mode_bits) != mode && fchmod(folder.get(), mode) != 0)
    throw system_error("cannot change the mode of " + path, errno);
  return folder;
}

bool is_older(const struct stat& info, Nanoseconds age) {
  const auto changed = std::chrono::seconds(info.st_mtim.tv_sec) +
                       Nanoseconds(info.st_mtim.tv_nsec);
  return wall_now() - changed > age;
}

Descriptor open_folder(int folder, const std::string& name) {
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  return Descriptor(openat(folder, name.c_str(), flags));
}

Descriptor open_path(std::string_view path, int flags) {
  Descriptor folder;  // empty: where the path begins
  const auto open_at = [&](std::string_view part, int how) {
    const int at = folder ? folder.get() : AT_FDCWD;
    return Descriptor(openat(at, std::string(part).c_str(), how | O_CLOEXEC));
  };
  while (path.size() >= PATH_MAX) {
    const size_t slash = path.rfind('/', PATH_MAX - 2);
    if (slash == std::string_view::npos || slash == 0) break;  // openat says that it is too long
    Descriptor next = open_at(path.substr(0, slash), O_PATH | O_DIRECTORY);
    if (!next) return next;
    folder = std::move(next);
    const size_t rest = path.find_first_not_of('/', slash);
    path = rest == std::string_view::npos ? "." : path.substr(rest);
  }
  return open_at(path, flags);
}

void each_name(int folder, const std::string& name, Hidden hidden,
               const std::function<void(const std::string&)>& each) {
  struct Close {
    void operator()(DIR* directory) const { closedir(directory); }
  };
  Descriptor opened = open_folder(folder, name);
  const std::unique_ptr<DIR, Close> directory(opened ? fdopendir(opened.get()) : nullptr);
  if (!directory) return;
  (void)opened.release();
  while (const dirent* found = readdir(directory.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string is = found->d_name;
    if (is == "." || is == ".." || (hidden == Hidden::skip && is.front() == '.')) continue;
    each(is);
  }
}

}  // namespace memolock
