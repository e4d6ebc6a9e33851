#include "src/system/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr mode_t owner_all = S_IRWXU;
constexpr mode_t owner_read_write = S_IRUSR | S_IWUSR;

/// Whether the umask has taken from an own file what its user needs.
bool lacks(const struct stat& info, mode_t mode) {
  return info.st_uid == own_user() && (info.st_mode & mode) != mode;
}

/// Gives the name that this user has just made the mode that it was to have. Returns 0 or an errno.
int complete_mode(int folder, const std::string& name, mode_t mode) {
  struct stat info {};
  if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (!lacks(info, mode) || S_ISLNK(info.st_mode)) return 0;
  return fchmodat(folder, name.c_str(), mode, 0) == 0 ? 0 : errno;
}

/// As the function of that name; `info`: what it is then.
Descriptor open_own_directory(const std::string& path, struct stat& info) {
  Descriptor folder = open_folder(AT_FDCWD, path);
  if (!folder && errno == ENOENT) return folder;
  const int error = errno;
  const int failed = folder ? fstat(folder.get(), &info) : lstat(path.c_str(), &info);
  if (failed == 0 && info.st_uid != own_user())
    throw store_error(path + " belongs to another user");
  if (!folder || failed != 0) throw system_error("cannot open " + path, folder ? errno : error);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw store_error("others may write in " + path + "; run: chmod go-w " + path);
  return folder;
}

}  // namespace

uid_t own_user() {
  // geteuid() would be a system call.
  return static_cast<uid_t>(getauxval(AT_EUID));
}

int make_folder(int folder, const std::string& name) {
  if (mkdirat(folder, name.c_str(), owner_all) != 0) return errno;
  return complete_mode(folder, name, owner_all);
}

int make_fifo_file(int folder, const std::string& name) {
  if (mkfifoat(folder, name.c_str(), owner_read_write) != 0) return errno;
  return complete_mode(folder, name, owner_read_write);
}

Descriptor make_file(int folder, const std::string& name, int flags) {
  constexpr int always = O_CLOEXEC | O_NOFOLLOW;
  const int create = (flags & O_TMPFILE) == O_TMPFILE ? 0 : O_CREAT;
  Descriptor file(openat(folder, name.c_str(), flags | always | create, owner_read_write));
  struct stat info {};
  if (file && fstat(file.get(), &info) == 0 && lacks(info, owner_read_write))
    (void)fchmod(file.get(), owner_read_write);
  return file;
}

void make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (const int error = make_folder(AT_FDCWD, part); error != 0 && error != EEXIST)
      throw system_error("cannot make " + part, error);
    if (slash == std::string::npos) return;
  }
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
    if (const int error = make_folder(AT_FDCWD, path); error != 0 && error != EEXIST)
      throw system_error("cannot make " + path, error);
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
  return is_older(changed, age, wall_now());
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
