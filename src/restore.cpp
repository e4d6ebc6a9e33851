#include "src/restore.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "src/archive.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"
#include "src/key.hpp"
#include "src/token.hpp"

namespace memolock {
namespace {

constexpr mode_t permissions = 0777;  // no set-user-ID and the like
constexpr mode_t owner_all = 0700;
constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;

Error unrestored(const std::string& path, int error = errno) {
  return system_error("cannot restore " + escape_controls(path), error);
}

/// Where a member's name leads: a path of the list, and the way from there.
struct Place {
  size_t index = 0;
  std::vector<std::string> way;
};

/// Throws Error(store) for a name that leads elsewhere.
Place place_of(const std::string& name) {
  const auto refuse = [&]() -> Error {
    return store_error("the stored artifacts hold a name that leads elsewhere: " +
                       escape_controls(name));
  };
  Place place;
  std::string_view rest = name;
  if (rest.ends_with('/')) rest.remove_suffix(1);  // as tar marks a folder
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), place.index);
  if (error != std::errc()) throw refuse();
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  while (!rest.empty()) {
    if (rest.front() != '/') throw refuse();
    const std::string_view part = rest.substr(1, rest.find('/', 1) - 1);
    if (part.empty() || part == "." || part == "..") throw refuse();
    place.way.emplace_back(part);
    rest.remove_prefix(part.size() + 1);
  }
  return place;
}

/// The folder that holds what the caller named `path`, with the name there; the folder is made
/// where it is missing, and links on the way are the caller's own.
std::pair<Descriptor, std::string> parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string base = path.substr(slash + 1);
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  for (size_t at = parent.find('/', 1); at != std::string::npos; at = parent.find('/', at + 1)) {
    const std::string part = parent.substr(0, at);
    if (mkdir(part.c_str(), permissions) != 0 && errno != EEXIST && errno != EISDIR)
      throw unrestored(part);
  }
  Descriptor folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) throw unrestored(parent);
  return {std::move(folder), base};
}

/// A name in a folder for what is not complete yet; it goes if it is never put in place.
class Draft {
 public:
  Draft(int folder, const std::string& path)
      : folder_(folder), path_(path), name_(".memolock-" + new_token()) {}
  ~Draft() {
    if (!name_.empty()) unlinkat(folder_, name_.c_str(), 0);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  [[nodiscard]] const char* name() const { return name_.c_str(); }

  /// Dates it by `time`, which is its own where there is none yet.
  void put_in_place(const std::string& base, std::optional<timespec>& time) {
    struct stat info {};
    if (!time && fstatat(folder_, name(), &info, AT_SYMLINK_NOFOLLOW) == 0) time = info.st_mtim;
    const std::array<timespec, 2> times{time.value_or(timespec{}), time.value_or(timespec{})};
    if (utimensat(folder_, name(), times.data(), AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(folder_, name(), folder_, base.c_str()) != 0)
      throw unrestored(path_);
    name_.clear();
  }

 private:
  int folder_;
  const std::string& path_;
  std::string name_;
};

class Restorer {
 public:
  Restorer(const FilePart& archive, const std::vector<std::string>& stored, int interrupt)
      : reader_(archive), stored_(stored), interrupt_(interrupt) {}

  /// `is_wanted`: of each path of the archive. Returns which have been found.
  std::vector<bool> run(const std::vector<bool>& is_wanted) {
    std::vector<bool> found(stored_.size());
    while (const auto member = reader_.next()) {
      const Place place = place_of(member->name);
      if (place.index >= stored_.size() || !is_wanted[place.index]) continue;
      look_for_interrupt();
      found[place.index] = true;
      add(*member, place);
    }
    while (!folders_.empty()) finish_folder();
    return found;
  }

 private:
  struct Folder {  // whose mode and time come last, when nothing is put into it any more
    Place place;
    mode_t mode;
  };

  void add(const Member& member, const Place& place) {
    const std::string path = path_of(place);
    Descriptor above;
    std::string base;
    if (place.way.empty()) {
      const std::string& named = stored_[place.index];
      if (member.kind == MemberKind::folder) return make_folder(AT_FDCWD, named, member, place);
      if (member.kind == MemberKind::link)
        throw store_error("the stored artifacts have a symbolic link in the place of " + path);
      std::tie(above, base) = parent_of(named);
    } else {
      above = open_folder(place.index, place.way.size() - 1, place.way);
      base = place.way.back();
    }
    if (member.kind == MemberKind::folder) return make_folder(above.get(), base, member, place);
    Draft draft(above.get(), path);
    if (member.kind == MemberKind::file) {
      write_file(above.get(), draft.name(), member, path);
    } else if (symlinkat(member.target.c_str(), above.get(), draft.name()) != 0) {
      throw unrestored(path);
    }
    draft.put_in_place(base, time_);
  }

  /// The folder of a path, or `depth` steps below it.
  [[nodiscard]] Descriptor open_folder(size_t index, size_t depth,
                                       const std::vector<std::string>& way) const {
    Descriptor folder(open(stored_[index].c_str(), folder_flags));
    for (size_t i = 0; folder && i < depth; ++i)
      folder.reset(openat(folder.get(), way[i].c_str(), folder_flags));
    if (!folder) throw unrestored(path_of({index, way}));
    return folder;
  }

  /// For now its owner may do everything there.
  void make_folder(int above, const std::string& base, const Member& member, const Place& place) {
    const std::string path = path_of(place);
    if (place.way.empty()) (void)parent_of(base);
    if (mkdirat(above, base.c_str(), owner_all) != 0) {
      if (errno != EEXIST) throw unrestored(path);
      replace_other(above, base, place);
    }
    const Descriptor folder(openat(above, base.c_str(), folder_flags));
    struct stat info {};
    if (!folder || fstat(folder.get(), &info) != 0) throw unrestored(path);
    if ((info.st_mode & owner_all) != owner_all &&
        fchmod(folder.get(), (info.st_mode & permissions) | owner_all) != 0)
      throw unrestored(path);
    folders_.push_back({place, member.mode & permissions});
  }

  /// A file or a link that stands where a folder is to be goes. Not the caller's own path: he may
  /// have made that a link himself.
  void replace_other(int above, const std::string& base, const Place& place) const {
    struct stat info {};
    if (fstatat(above, base.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      throw unrestored(path_of(place));
    if (S_ISDIR(info.st_mode) || place.way.empty()) return;
    if (unlinkat(above, base.c_str(), 0) != 0 || mkdirat(above, base.c_str(), owner_all) != 0)
      throw unrestored(path_of(place));
  }

  void write_file(int above, const char* name, const Member& member, const std::string& path) {
    constexpr int flags = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW;
    const Descriptor file(openat(above, name, flags, 0600));
    if (!file) throw unrestored(path);
    uint64_t end = 0;
    uint64_t written = 0;  // up to there, holes aside
    while (const auto block = reader_.next_block()) {
      look_for_interrupt();
      end = block->offset + block->bytes.size();
      if (is_hole(block->bytes)) continue;
      if (const int error = write_all_at(file.get(), block->bytes, block->offset))
        throw unrestored(path, error);
      written = end;
    }
    if (end != member.size)
      throw store_error("the stored artifacts are damaged: wrong size of " + path);
    if ((written != end && ftruncate(file.get(), static_cast<off_t>(end)) != 0) ||
        fchmod(file.get(), member.mode & permissions) != 0)
      throw unrestored(path);
  }

  /// Whether it is nothing but zeros, which need no room.
  static bool is_hole(std::string_view bytes) {
    return !bytes.empty() && bytes.front() == '\0' &&
           bytes.substr(1) == bytes.substr(0, bytes.size() - 1);
  }

  void finish_folder() {
    const Folder& last = folders_.back();
    const Descriptor folder = open_folder(last.place.index, last.place.way.size(), last.place.way);
    if (fchmod(folder.get(), last.mode) != 0 || futimens(folder.get(), nullptr) != 0)
      throw unrestored(path_of(last.place));
    folders_.pop_back();
  }

  void look_for_interrupt() const {
    if (await_readable(-1, interrupt_, boot_now()) == Ready::interrupted)
      throw Error(Error::Kind::interrupted, "interrupted");
  }

  [[nodiscard]] std::string path_of(const Place& place) const {
    std::string path = stored_[place.index];
    for (const std::string& part : place.way) path += (path.ends_with('/') ? "" : "/") + part;
    return path;
  }

  ArchiveReader reader_;
  const std::vector<std::string>& stored_;
  int interrupt_;
  // Of all files and links. The first one's, as the file system dates it: by any other clock they
  // might be older than what was made just before.
  std::optional<timespec> time_;
  std::vector<Folder> folders_;
};

}  // namespace

void restore(const FilePart& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, int interrupt) {
  std::vector<bool> is_wanted;
  is_wanted.reserve(stored.size());
  for (const std::string& path : stored)
    is_wanted.push_back(std::find(wanted.begin(), wanted.end(), path) != wanted.end());
  const std::vector<bool> found = Restorer(archive, stored, interrupt).run(is_wanted);
  for (size_t i = 0; i < stored.size(); ++i)
    if (is_wanted[i] && !found[i])
      throw store_error("the stored artifacts are damaged: they lack " +
                        escape_controls(stored[i]));
}

}  // namespace memolock
