#include "src/local/fifo.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/store/entry_file.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

constexpr mode_t folder_mode = 0700;
constexpr int always = O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
// Longer than it takes to make a FIFO and open it.
constexpr std::chrono::minutes settling{1};

/// What the name of one elsewhere begins with: a token.
constexpr size_t token_size = 32;
/// The rest of that name: what the one in the store ends in, as ".wake".
std::string_view ending_of(std::string_view name) {
  return name.substr(std::min(name.rfind('.'), name.size()));
}

/// Whether that is a name that make_elsewhere() gives.
bool is_name_elsewhere(std::string_view text, std::string_view ending) {
  return text.size() == token_size + ending.size() && text.ends_with(ending) &&
         text.substr(0, token_size).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Whether a file system that answers so has no FIFOs.
bool means_no_fifos(int error) {
  return error == EPERM || error == EACCES || error == EOPNOTSUPP || error == ENOSYS ||
         error == EINVAL || error == ENXIO;
}

Descriptor open_own_fifo(int folder, const char* name, int flags) {
  Descriptor fifo(openat(folder, name, flags | always));
  struct stat info {};
  if (!fifo || fstat(fifo.get(), &info) != 0) return {};
  if (S_ISFIFO(info.st_mode) && info.st_uid == own_user()) return fifo;
  errno = EPERM;
  return {};
}

/// Both ends of a new FIFO; empty, with errno set, when it cannot be had, and then it has no name
/// either.
Descriptor try_make(int folder, const char* name) {
  if (const int error = make_fifo_file(folder, name)) {
    errno = error;
    return {};
  }
  Descriptor fifo(openat(folder, name, O_RDWR | always));
  if (fifo) return fifo;
  const int error = errno;
  unlinkat(folder, name, 0);
  errno = error;
  return {};
}

/// The path of the FIFO of which the file `name` tells; empty: it is no such file. Throws
/// Error(store) where the directory is not this user's.
std::string path_elsewhere(int folder, const std::string& name) {
  const OwnedFile place = open_owned(folder, name, O_RDONLY);
  const std::string_view ending = ending_of(name);
  if (!place || place.size != token_size + ending.size()) return "";
  std::string text(place.size, '\0');
  const ssize_t got = read_all_at(place.get(), text.data(), text.size(), 0);
  if (got != static_cast<ssize_t>(text.size()) || !is_name_elsewhere(text, ending)) return "";
  const std::string directory = fifo_directory();
  return open_own_directory(directory) ? directory + '/' + text : "";
}

/// The same where nothing may be thrown; empty also when the directory is not this user's.
std::string find_elsewhere(int folder, const std::string& name) noexcept {
  std::string path;
  (void)failure_of([&] { path = path_elsewhere(folder, name); });
  return path;
}

/// Makes a FIFO in /tmp, and in its place the file that tells where it is.
Descriptor make_elsewhere(int folder, const std::string& name, const std::string& shown) {
  const std::string directory = fifo_directory();
  (void)make_own_directory(directory, folder_mode);
  const std::string text = random_name() + std::string(ending_of(name));
  const std::string path = directory + '/' + text;
  Descriptor fifo = try_make(AT_FDCWD, path.c_str());
  if (!fifo) throw system_error("cannot make " + path, errno);
  const Descriptor place = make_file(folder, name, O_EXCL | O_WRONLY);
  const int error = place ? write_all_at(place.get(), text, 0) : errno;
  if (error == 0) return fifo;
  unlink(path.c_str());
  if (place) unlinkat(folder, name.c_str(), 0);
  throw system_error("cannot write " + shown + '/' + name, error);
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/// Where the open FIFO has a name.
enum class Named { nowhere, here, elsewhere };

/// `path`: of the name elsewhere.
Named where_named(int folder, const std::string& name, int fifo, std::string& path) noexcept {
  struct stat mine {};
  struct stat named {};
  if (fstat(fifo, &mine) != 0 || fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0)
    return Named::nowhere;
  if (is_same(mine, named)) return Named::here;
  if (!S_ISREG(named.st_mode)) return Named::nowhere;
  path = find_elsewhere(folder, name);
  const bool found = !path.empty() && lstat(path.c_str(), &named) == 0 && is_same(mine, named);
  return found ? Named::elsewhere : Named::nowhere;
}

}  // namespace

std::string fifo_directory() { return fmt::format("/tmp/memolock-fifo-{}", geteuid()); }

Descriptor make_fifo(int folder, const std::string& name, const std::string& shown) {
  Descriptor fifo = try_make(folder, name.c_str());
  if (fifo) return fifo;
  if (means_no_fifos(errno)) return make_elsewhere(folder, name, shown);
  throw system_error("cannot write " + shown + '/' + name, errno);
}

Descriptor open_fifo(int folder, const std::string& name, int flags) noexcept {
  Descriptor fifo(openat(folder, name.c_str(), flags | always));
  struct stat info {};
  if (!fifo || fstat(fifo.get(), &info) != 0) return {};
  if (S_ISFIFO(info.st_mode) && info.st_uid == own_user()) return fifo;
  const std::string path = S_ISREG(info.st_mode) ? find_elsewhere(folder, name) : "";
  if (!path.empty()) return open_own_fifo(AT_FDCWD, path.c_str(), flags);
  errno = EPERM;
  return {};
}

bool is_fifo_named(int folder, const std::string& name, int fifo) noexcept {
  std::string path;
  return where_named(folder, name, fifo, path) != Named::nowhere;
}

void remove_named_fifo(int folder, const std::string& name, int fifo) noexcept {
  std::string path;
  const Named named = where_named(folder, name, fifo, path);
  if (named == Named::nowhere) return;
  unlinkat(folder, name.c_str(), 0);
  if (named == Named::elsewhere) unlink(path.c_str());
}

void remove_fifo(int folder, const std::string& name) noexcept {
  const std::string path = find_elsewhere(folder, name);
  unlinkat(folder, name.c_str(), 0);
  if (!path.empty()) unlink(path.c_str());
}

void remove_stale_fifos() noexcept {
  (void)failure_of([] {
    const Descriptor folder = open_own_directory(fifo_directory());
    if (!folder) return;
    each_name(folder.get(), ".", Hidden::show, [&](const std::string& name) {
      struct stat info {};
      if (!is_name_elsewhere(name, ending_of(name)) ||
          fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
          !S_ISFIFO(info.st_mode) || !is_older(info, settling))
        return;
      // Its holder has both ends open, and would be the reader.
      const Descriptor fifo(openat(folder.get(), name.c_str(), O_WRONLY | always));
      if (!fifo && errno == ENXIO) unlinkat(folder.get(), name.c_str(), 0);
    });
  });
}

}  // namespace memolock
