#include "src/local/fifo.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

constexpr mode_t directory_mode = 0700;
constexpr int always = O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
// Longer than it takes to create a FIFO and open it.
constexpr std::chrono::minutes settling{1};

// The name of a substitute is a token of this many characters, followed by the ending of the name
// in the store, such as ".wake".
constexpr size_t token_size = 32;
std::string_view ending_of(std::string_view name) {
  return name.substr(std::min(name.rfind('.'), name.size()));
}

bool is_substitute_name(std::string_view text, std::string_view ending) {
  return text.size() == token_size + ending.size() && text.ends_with(ending) &&
         text.substr(0, token_size).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Whether this error of mkfifo(2) or open(2) means that the file system has no FIFOs.
bool has_no_fifos(int error) {
  return error == EPERM || error == EACCES || error == EOPNOTSUPP || error == ENOSYS ||
         error == EINVAL || error == ENXIO;
}

/// Opens `name` and fills `info`; empty, with errno set, on failure.
Descriptor open_and_stat(int directory, const char* name, int flags, struct stat& info) noexcept {
  Descriptor opened(openat(directory, name, flags | always));
  if (!opened || fstat(opened.get(), &info) != 0) return {};
  return opened;
}

/// Creates a FIFO and opens both of its ends. Empty, with errno set, on failure; no new file then
/// remains.
Descriptor try_make(int directory, const char* name) {
  if (const int error = make_fifo_file(directory, name)) {
    errno = error;
    return {};
  }
  Descriptor fifo(openat(directory, name, O_RDWR | always));
  if (fifo) return fifo;
  const int error = errno;
  unlinkat(directory, name, 0);
  errno = error;
  return {};
}

/// The path of the substitute to which the file `name` refers; empty if it refers to none. Throws
/// Error(store) if the directory of substitutes is not private to this user.
std::string read_substitute_path(int directory, const std::string& name) {
  const OwnedFile reference = open_owned_file(directory, name, O_RDONLY);
  const std::string_view ending = ending_of(name);
  if (!reference || reference.size != token_size + ending.size()) return "";
  std::string text(reference.size, '\0');
  const ssize_t got = read_all_at(reference.get(), text.data(), text.size(), 0);
  if (got != static_cast<ssize_t>(text.size()) || !is_substitute_name(text, ending)) return "";
  const std::string substitutes = fifo_directory();
  return open_private_directory(substitutes) ? substitutes + '/' + text : "";
}

/// The same, but returns an empty path instead of throwing.
std::string substitute_path(int directory, const std::string& name) noexcept {
  std::string path;
  (void)failure_of([&] { path = read_substitute_path(directory, name); });
  return path;
}

/// Creates a substitute, and in the store the file that refers to it.
Descriptor make_substitute(int directory, const std::string& name, const std::string& path) {
  const std::string substitutes = fifo_directory();
  (void)make_private_directory(substitutes, directory_mode);
  const std::string text = random_name() + std::string(ending_of(name));
  const std::string substitute = substitutes + '/' + text;
  Descriptor fifo = try_make(AT_FDCWD, substitute.c_str());
  if (!fifo) throw system_error("cannot create " + substitute, errno);
  const Descriptor reference = make_file(directory, name, O_EXCL | O_WRONLY);
  const int error = reference ? write_all_at(reference.get(), text, 0) : errno;
  if (error == 0) return fifo;
  unlink(substitute.c_str());
  if (reference) unlinkat(directory, name.c_str(), 0);
  throw system_error("cannot write " + path + '/' + name, error);
}

enum class Location { none, store, substitute };

/// The location of the FIFO that is open as `fifo`, if `name` refers to it; `none` if `name` refers
/// to something else or does not exist. Sets `path` if the FIFO is a substitute.
Location location_of(int directory, const std::string& name, int fifo, std::string& path) noexcept {
  struct stat open_fifo {};
  struct stat named {};
  if (fstat(fifo, &open_fifo) != 0 ||
      fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0)
    return Location::none;
  if (is_same_file(open_fifo, named)) return Location::store;
  if (!S_ISREG(named.st_mode)) return Location::none;
  path = substitute_path(directory, name);
  const bool is_same = !path.empty() && lstat(path.c_str(), &named) == 0 &&
                       is_same_file(open_fifo, named);
  return is_same ? Location::substitute : Location::none;
}

/// Whether `name` in the directory of substitutes is a FIFO whose holder has died. A living holder
/// has both ends open, so the FIFO would have a reader.
bool is_stale(int substitutes, const std::string& name) {
  struct stat info {};
  if (!is_substitute_name(name, ending_of(name)) ||
      fstatat(substitutes, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISFIFO(info.st_mode) || !is_older(info, settling))
    return false;
  const Descriptor fifo(openat(substitutes, name.c_str(), O_WRONLY | always));
  return !fifo && errno == ENXIO;
}

}  // namespace

std::string fifo_directory() { return fmt::format("/tmp/memolock-fifo-{}", geteuid()); }

Descriptor make_fifo(int directory, const std::string& name, const std::string& path) {
  Descriptor fifo = try_make(directory, name.c_str());
  if (fifo) return fifo;
  if (has_no_fifos(errno)) return make_substitute(directory, name, path);
  throw system_error("cannot write " + path + '/' + name, errno);
}

Descriptor open_fifo(int directory, const std::string& name, int flags) noexcept {
  struct stat info {};
  Descriptor opened = open_and_stat(directory, name.c_str(), flags, info);
  if (opened && S_ISREG(info.st_mode)) {
    const std::string path = substitute_path(directory, name);
    if (!path.empty()) opened = open_and_stat(AT_FDCWD, path.c_str(), flags, info);
  }
  if (!opened || (S_ISFIFO(info.st_mode) && info.st_uid == user_at_start())) return opened;
  errno = EPERM;
  return {};
}

bool is_same_fifo(int directory, const std::string& name, int fifo) noexcept {
  std::string path;
  return location_of(directory, name, fifo, path) != Location::none;
}

void remove_if_same_fifo(int directory, const std::string& name, int fifo) noexcept {
  std::string path;
  const Location location = location_of(directory, name, fifo, path);
  if (location == Location::none) return;
  unlinkat(directory, name.c_str(), 0);
  if (location == Location::substitute) unlink(path.c_str());
}

void remove_fifo(int directory, const std::string& name) noexcept {
  const std::string path = substitute_path(directory, name);
  unlinkat(directory, name.c_str(), 0);
  if (!path.empty()) unlink(path.c_str());
}

void remove_stale_fifos() noexcept {
  (void)failure_of([] {
    const Descriptor substitutes = open_private_directory(fifo_directory());
    if (!substitutes) return;
    for_each_name(substitutes.get(), ".", DotNames::show, [&](const std::string& name) {
      if (is_stale(substitutes.get(), name)) unlinkat(substitutes.get(), name.c_str(), 0);
    });
  });
}

}  // namespace memolock
