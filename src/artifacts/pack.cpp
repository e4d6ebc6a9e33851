#include "src/artifacts/pack.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include <fmt/format.h>

#include "src/artifacts/archive.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/draft_name.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr mode_t permissions = 0777;  // no set-user-ID and the like
constexpr size_t piece_size = 256U << 10;

Error unreadable(const std::string& path, int error = errno) {
  return system_error("cannot read " + escape_controls(path), error);
}

/// The names in a folder but "." and ".." and what a killed restore has left, in the order of their
/// bytes.
std::vector<std::string> names_in(int folder, const std::string& path) {
  std::vector<std::string> names;
  DirectoryReader reader(Descriptor(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  while (const char* const name = reader.next())
    if (!DraftNames::has(name)) names.emplace_back(name);
  if (reader.error() != 0) throw unreadable(path, reader.error());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

struct Extent {
  uint64_t begin, end;
};

/// The first hole of a file at `from` or behind it; an empty one at its end where there is none, or
/// none that the file system tells of. A file that has room on the disk for all of its bytes is not
/// asked for holes.
Extent hole_behind(int file, const struct stat& info, uint64_t from) {
  constexpr uint64_t block = 512;  // of st_blocks
  const auto size = static_cast<uint64_t>(info.st_size);
  const Extent none{size, size};
  if (static_cast<uint64_t>(info.st_blocks) * block >= size) return none;
  const off_t begin = lseek(file, static_cast<off_t>(from), SEEK_HOLE);
  if (begin < 0 || static_cast<uint64_t>(begin) >= size) return none;
  const off_t end = lseek(file, begin, SEEK_DATA);
  if (end < 0 && errno != ENXIO) return none;
  return {static_cast<uint64_t>(begin),
          end < 0 ? size : std::min(static_cast<uint64_t>(end), size)};
}

struct Interrupted {};

class Packer {
 public:
  Packer(Spool& spool, int interrupt)
      : spool_(spool),
        interrupt_(interrupt),
        buffer_(std::make_unique_for_overwrite<char[]>(piece_size)),
        writer_([&](std::string_view bytes) { return spool_.append(Stream::files, bytes); }) {}

  /// `path`: as the caller named it. These throw Error(store).
  void add_path(const std::string& path, const std::string& name) {
    struct stat info {};
    if (fstatat(AT_FDCWD, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT || errno == ENOTDIR)
        throw store_error("the command has not made " + escape_controls(path));
      throw unreadable(path);
    }
    if (S_ISLNK(info.st_mode))
      throw store_error(fmt::format("{0} is a symbolic link; to keep a folder, name it {0}/",
                                    escape_controls(path)));
    add({path, path, name}, info);
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.names.empty()) {
        leave_folder();
      } else {
        add(take_next(level));
      }
    }
  }

  void finish() { go_on(writer_.finish()); }

 private:
  /// What is to be packed next, in the current folder.
  struct Found {
    std::string base;
    std::string path;  // for people
    std::string name;  // in the archive
  };

  /// A folder that is being packed; the last one is the current.
  struct Level {
    std::vector<std::string> names;  // those that are left, the last one first
    std::string path, name;
    struct stat info;
  };

  [[nodiscard]] int folder() const { return folder_ ? folder_.get() : AT_FDCWD; }

  static Found take_next(Level& level) {
    const std::string base = std::move(level.names.back());
    level.names.pop_back();
    return {base, fmt::format("{}{}{}", level.path, level.path.ends_with('/') ? "" : "/", base),
            fmt::format("{}/{}", level.name, base)};
  }

  void add(const Found& found) {
    struct stat info {};
    if (fstatat(folder(), found.base.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      throw unreadable(found.path);
    add(found, info);
  }

  void add(const Found& found, const struct stat& info) {
    if (S_ISLNK(info.st_mode)) return add_link(found);
    constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
      throw store_error(escape_controls(found.path) + " is neither file, folder nor symbolic link");
    Descriptor opened(openat(folder(), found.base.c_str(), flags));
    struct stat now {};
    if (!opened || fstat(opened.get(), &now) != 0) throw unreadable(found.path);
    if ((now.st_mode & S_IFMT) != (info.st_mode & S_IFMT)) throw changed(found.path);
    if (S_ISREG(info.st_mode)) return add_file(opened.get(), now, found.path, found.name);
    enter_folder(std::move(opened), now, found);
  }

  void enter_folder(Descriptor opened, const struct stat& info, const Found& found) {
    begin({MemberKind::folder, found.name, info.st_mode & permissions, 0, ""});
    std::vector<std::string> names = names_in(opened.get(), found.path);
    if (names.empty()) return;
    std::reverse(names.begin(), names.end());
    folder_ = std::move(opened);
    levels_.push_back({std::move(names), found.path, found.name, info});
  }

  /// Only the current folder is open, so that the depth costs no descriptors.
  void leave_folder() {
    levels_.pop_back();
    if (levels_.empty()) return folder_.reset();
    const Level& above = levels_.back();
    Descriptor opened(openat(folder_.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!opened || fstat(opened.get(), &info) != 0) throw unreadable(above.path);
    if (!is_same_file(info, above.info)) throw changed(above.path);
    folder_ = std::move(opened);
  }

  void add_link(const Found& found) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = readlinkat(folder(), found.base.c_str(), target.data(), target.size());
    if (size < 0) throw unreadable(found.path);
    const std::string text(target.data(), static_cast<size_t>(size));
    begin({MemberKind::link, found.name, permissions, 0, text});
  }

  void add_file(int file, const struct stat& info, const std::string& path,
                const std::string& name) {
    const auto size = static_cast<uint64_t>(info.st_size);
    begin({MemberKind::file, name, info.st_mode & permissions, size, ""});
    for (uint64_t done = 0; done < size;) {
      const Extent hole = hole_behind(file, info, done);
      add_data(file, done, hole.begin, path);
      add_zeros(hole.end - hole.begin);
      done = hole.end;
    }
    struct stat now {};
    if (fstat(file, &now) != 0 || !is_same(info, now)) throw changed(path);
  }

  void add_data(int file, uint64_t done, uint64_t end, const std::string& path) {
    while (done < end) {
      const ssize_t got = read_all_at(file, buffer_.get(),
                                      std::min<uint64_t>(piece_size, end - done), done);
      if (got < 0) throw unreadable(path);
      if (got == 0) throw changed(path);
      go_on(writer_.write({buffer_.get(), static_cast<size_t>(got)}));
      done += static_cast<uint64_t>(got);
    }
  }

  void add_zeros(uint64_t size) {
    if (size == 0) return;
    std::fill_n(buffer_.get(), std::min<uint64_t>(piece_size, size), '\0');
    while (size > 0) {
      const uint64_t step = std::min<uint64_t>(piece_size, size);
      go_on(writer_.write({buffer_.get(), step}));
      size -= step;
    }
  }

  void begin(const Member& member) {
    unpacked_.add(member);
    if (const std::string excess = unpacked_.excess(); !excess.empty())
      throw store_error("the artifacts have " + excess);
    go_on(spool_.has_room_for_files(unpacked_.bytes()) && writer_.begin(member));
  }

  void go_on(bool taken) const {
    if (!taken) throw store_error(spool_.fault());
    if (await_readable(-1, interrupt_, boot_now()) == Ready::interrupted) throw Interrupted();
  }
  static Error changed(const std::string& path) {
    return store_error(escape_controls(path) + " changed while it was read");
  }

  Spool& spool_;
  int interrupt_;
  std::unique_ptr<char[]> buffer_;
  ArchiveWriter writer_;
  UnpackedSize unpacked_;
  std::vector<Level> levels_;
  Descriptor folder_;  // the current one; empty: the working directory
};

}  // namespace

std::optional<std::string> pack(const std::vector<std::string>& paths, Spool& spool, int interrupt,
                                KeepaliveArmed) {
  try {
    Packer packer(spool, interrupt);
    for (size_t i = 0; i < paths.size(); ++i) packer.add_path(paths[i], std::to_string(i));
    packer.finish();
    return "";
  } catch (const Interrupted&) {
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace memolock
