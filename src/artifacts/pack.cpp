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
#include "src/system/error.hpp"
#include "src/system/staging_name.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr mode_t permissions = 0777;  // without set-user-ID, set-group-ID and sticky
constexpr size_t piece_size = 256U << 10;

Error unreadable(const std::string& path, int error = errno) {
  return system_error("cannot read " + escape_controls(path), error);
}

/// The names in a directory, sorted by their bytes, without the staging names of killed restores.
std::vector<std::string> names_in(int parent, const std::string& path) {
  std::vector<std::string> names;
  DirectoryReader reader(Descriptor(openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  while (const char* const name = reader.next())
    if (!StagingNames::matches(name)) names.emplace_back(name);
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

/// The first hole of a file at or after `from`. If there is none, or the file system does not
/// report holes, an empty hole at the end of the file. If a file has all the blocks that its size
/// requires, it is assumed to have no holes.
Extent next_hole(int file, const struct stat& info, uint64_t from) {
  constexpr uint64_t block = 512;  // the unit of st_blocks
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

class Packer {
 public:
  Packer(Spool& spool, int interrupt)
      : spool_(spool),
        interrupt_(interrupt),
        buffer_(std::make_unique_for_overwrite<char[]>(piece_size)),
        writer_([&](std::string_view bytes) { return spool_.append(Stream::files, bytes); }) {}

  /// `path`: as the caller has named it. Throws Error(store) and Error(interrupted).
  void add_path(const std::string& path, const std::string& name) {
    struct stat info {};
    if (fstatat(AT_FDCWD, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT || errno == ENOTDIR)
        throw store_error("the command did not create " + escape_controls(path));
      throw unreadable(path);
    }
    if (S_ISLNK(info.st_mode))
      throw store_error(fmt::format(
          "{0} is a symbolic link; to store the directory that it refers to, write {0}/",
          escape_controls(path)));
    add({path, path, name}, info);
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.names.empty()) {
        leave_directory();
      } else {
        add(take_next(level));
      }
    }
  }

  void finish() { check_progress(writer_.finish()); }

 private:
  /// The file or directory to be packed next, in the current directory.
  struct Found {
    std::string base;
    std::string path;  // for messages
    std::string name;  // in the archive
  };

  /// A directory that is being packed; the last one is the current one.
  struct Level {
    std::vector<std::string> names;  // the names that remain to be packed, in reverse order
    std::string path, name;
    struct stat info;
  };

  [[nodiscard]] int directory() const { return directory_ ? directory_.get() : AT_FDCWD; }

  static Found take_next(Level& level) {
    const std::string base = std::move(level.names.back());
    level.names.pop_back();
    return {base, fmt::format("{}{}{}", level.path, level.path.ends_with('/') ? "" : "/", base),
            fmt::format("{}/{}", level.name, base)};
  }

  void add(const Found& found) {
    struct stat info {};
    if (fstatat(directory(), found.base.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      throw unreadable(found.path);
    add(found, info);
  }

  void add(const Found& found, const struct stat& info) {
    if (S_ISLNK(info.st_mode)) return add_link(found);
    constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
      throw store_error(escape_controls(found.path) +
                        " is neither a file, a directory nor a symbolic link");
    Descriptor opened(openat(directory(), found.base.c_str(), flags));
    struct stat now {};
    if (!opened || fstat(opened.get(), &now) != 0) throw unreadable(found.path);
    if ((now.st_mode & S_IFMT) != (info.st_mode & S_IFMT)) throw changed(found.path);
    if (S_ISREG(info.st_mode)) return add_file(opened.get(), now, found.path, found.name);
    enter_directory(std::move(opened), now, found);
  }

  void enter_directory(Descriptor opened, const struct stat& info, const Found& found) {
    begin({MemberKind::directory, found.name, info.st_mode & permissions, 0, ""}, found.path);
    std::vector<std::string> names = names_in(opened.get(), found.path);
    if (names.empty()) return;
    std::reverse(names.begin(), names.end());
    directory_ = std::move(opened);
    levels_.push_back({std::move(names), found.path, found.name, info});
  }

  /// Only the current directory is open, so that a deep tree does not use up the descriptors.
  void leave_directory() {
    levels_.pop_back();
    if (levels_.empty()) return directory_.reset();
    const Level& above = levels_.back();
    Descriptor opened(openat(directory_.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat info {};
    if (!opened || fstat(opened.get(), &info) != 0) throw unreadable(above.path);
    if (info.st_ino != above.info.st_ino || info.st_dev != above.info.st_dev)
      throw changed(above.path);
    directory_ = std::move(opened);
  }

  void add_link(const Found& found) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = readlinkat(directory(), found.base.c_str(), target.data(), target.size());
    if (size < 0) throw unreadable(found.path);
    const std::string text(target.data(), static_cast<size_t>(size));
    begin({MemberKind::link, found.name, permissions, 0, text}, found.path);
  }

  void add_file(int file, const struct stat& info, const std::string& path,
                const std::string& name) {
    const auto size = static_cast<uint64_t>(info.st_size);
    begin({MemberKind::file, name, info.st_mode & permissions, size, ""}, path);
    for (uint64_t done = 0; done < size;) {
      const Extent hole = next_hole(file, info, done);
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
      check_progress(writer_.write({buffer_.get(), static_cast<size_t>(got)}));
      done += static_cast<uint64_t>(got);
    }
  }

  void add_zeros(uint64_t size) {
    if (size == 0) return;
    std::fill_n(buffer_.get(), std::min<uint64_t>(piece_size, size), '\0');
    while (size > 0) {
      const uint64_t step = std::min<uint64_t>(piece_size, size);
      check_progress(writer_.write({buffer_.get(), step}));
      size -= step;
    }
  }

  void begin(const Member& member, const std::string& path) {
    unpacked_.add(member);
    if (const std::string excess = unpacked_.excess(); !excess.empty())
      throw store_error("the artifacts have " + excess);
    check_progress(spool_.has_room_for_files(unpacked_.bytes()) && writer_.begin(member, path));
  }

  void check_progress(bool taken) const {
    if (!taken) throw store_error(spool_.why_refused());
    throw_if_interrupted(interrupt_);
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
  Descriptor directory_;  // the current directory; empty: the working directory
};

}  // namespace

std::optional<std::string> pack(const std::vector<std::string>& paths, Spool& spool, int interrupt,
                                KeepaliveArmed) {
  try {
    Packer packer(spool, interrupt);
    for (size_t i = 0; i < paths.size(); ++i) packer.add_path(paths[i], std::to_string(i));
    packer.finish();
    return "";
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::interrupted) return std::nullopt;
    return error.what();
  }
}

}  // namespace memolock
