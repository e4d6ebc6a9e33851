#include "src/system/directory.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr mode_t owner_all = S_IRWXU;
constexpr mode_t owner_read_write = S_IRUSR | S_IWUSR;

/// Whether the umask has removed permissions of the owner from a file of this user.
bool lacks(const struct stat& info, mode_t mode) {
  return info.st_uid == user_at_start() && (info.st_mode & mode) != mode;
}

/// Gives a file or directory that this user has just created its intended mode. Returns 0 or an
/// errno.
int complete_mode(int parent, const std::string& name, mode_t mode) {
  struct stat info {};
  if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (!lacks(info, mode) || S_ISLNK(info.st_mode)) return 0;
  return fchmodat(parent, name.c_str(), mode, 0) == 0 ? 0 : errno;
}

/// The same as open_private_directory(); also fills `info`.
Descriptor open_private_directory(const std::string& path, struct stat& info) {
  Descriptor directory = open_directory(AT_FDCWD, path);
  if (!directory && errno == ENOENT) return directory;
  const int error = errno;
  const int failed = directory ? fstat(directory.get(), &info) : lstat(path.c_str(), &info);
  if (failed == 0 && info.st_uid != user_at_start())
    throw store_error(path + " belongs to another user");
  if (!directory || failed != 0)
    throw system_error("cannot open " + path, directory ? errno : error);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw store_error("other users can write to " + path + "; run: chmod go-w " + path);
  return directory;
}

}  // namespace

uid_t user_at_start() {
  // Not geteuid(), which would cost a system call.
  return static_cast<uid_t>(getauxval(AT_EUID));
}

int make_directory(int parent, const std::string& name) {
  if (mkdirat(parent, name.c_str(), owner_all) != 0) return errno;
  return complete_mode(parent, name, owner_all);
}

int make_fifo_file(int parent, const std::string& name) {
  if (mkfifoat(parent, name.c_str(), owner_read_write) != 0) return errno;
  return complete_mode(parent, name, owner_read_write);
}

Descriptor make_file(int parent, const std::string& name, int flags) {
  constexpr int always = O_CLOEXEC | O_NOFOLLOW;
  const int create = (flags & O_TMPFILE) == O_TMPFILE ? 0 : O_CREAT;
  Descriptor file(openat(parent, name.c_str(), flags | always | create, owner_read_write));
  struct stat info {};
  if (file && fstat(file.get(), &info) == 0 && lacks(info, owner_read_write))
    (void)fchmod(file.get(), owner_read_write);
  return file;
}

void make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (const int error = make_directory(AT_FDCWD, part); error != 0 && error != EEXIST)
      throw system_error("cannot create " + part, error);
    if (slash == std::string::npos) return;
  }
}

Descriptor open_private_directory(const std::string& path) {
  struct stat info {};
  return open_private_directory(path, info);
}

Descriptor make_private_directory(const std::string& path, mode_t mode) {
  constexpr mode_t all_mode_bits = 07777;
  struct stat info {};
  Descriptor directory = open_private_directory(path, info);
  if (!directory) {
    if (const int error = make_directory(AT_FDCWD, path); error != 0 && error != EEXIST)
      throw system_error("cannot create " + path, error);
    directory = open_private_directory(path, info);
    if (!directory) throw system_error("cannot open " + path, ENOENT);
  }
  if ((info.st_mode & all_mode_bits) != mode && fchmod(directory.get(), mode) != 0)
    throw system_error("cannot change the mode of " + path, errno);
  return directory;
}

bool is_older(const struct stat& info, Nanoseconds age) {
  const auto changed = std::chrono::seconds(info.st_mtim.tv_sec) +
                       Nanoseconds(info.st_mtim.tv_nsec);
  return is_older(changed, age, wall_now());
}

Descriptor open_directory(int parent, const std::string& name) {
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  return Descriptor(openat(parent, name.c_str(), flags));
}

Descriptor open_path(std::string_view path, int flags) {
  Descriptor reached;  // empty: nothing opened yet
  const auto open_at = [&](std::string_view part, int how) {
    const int at = reached ? reached.get() : AT_FDCWD;
    return Descriptor(openat(at, std::string(part).c_str(), how | O_CLOEXEC));
  };
  while (path.size() >= PATH_MAX) {
    const size_t slash = path.rfind('/', PATH_MAX - 2);
    if (slash == std::string_view::npos || slash == 0) break;  // openat() will fail
    Descriptor next = open_at(path.substr(0, slash), O_PATH | O_DIRECTORY);
    if (!next) return next;
    reached = std::move(next);
    const size_t rest = path.find_first_not_of('/', slash);
    path = rest == std::string_view::npos ? "." : path.substr(rest);
  }
  return open_at(path, flags);
}

DirectoryReader::DirectoryReader(Descriptor directory) noexcept
    : stream_(directory ? fdopendir(directory.get()) : nullptr) {
  if (stream_ == nullptr) {
    error_ = errno;
  } else {
    (void)directory.release();
  }
}

DirectoryReader::~DirectoryReader() {
  if (stream_ != nullptr) closedir(stream_);
}

int DirectoryReader::descriptor() const noexcept { return dirfd(stream_); }

const char* DirectoryReader::next() noexcept {
  if (stream_ == nullptr) return nullptr;
  errno = 0;
  while (const dirent* const found = readdir(stream_)) {  // NOLINT(concurrency-mt-unsafe)
    const char* const name = &found->d_name[0];
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) return name;
  }
  error_ = errno;
  return nullptr;
}

void for_each_name(int parent, const std::string& name, DotNames dot_names,
                   const std::function<void(const std::string&)>& each) {
  DirectoryReader reader(open_directory(parent, name));
  while (const char* const found = reader.next())
    if (dot_names == DotNames::show || *found != '.') each(found);
}

}  // namespace memolock
