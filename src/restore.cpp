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
  const auto refuse = [&] {
    return RefusedArchive("the stored artifacts hold a name that leads elsewhere: " +
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

/// Writes a file or link of an archive under another name, and puts all in place at the end.
class Restorer {
 public:
  Restorer(const FilePart& archive, const std::vector<std::string>& stored, uint64_t most,
           int interrupt)
      : reader_(archive),
        stored_(stored),
        most_(most),
        interrupt_(interrupt),
        draft_prefix_(".memolock-" + new_token() + '-') {}
  ~Restorer() {
    if (!done_) undo();
  }
  Restorer(const Restorer&) = delete;
  Restorer& operator=(const Restorer&) = delete;

  /// `is_wanted`: of each path of the archive. All of them must be in it.
  void run(const std::vector<bool>& is_wanted) {
    std::vector<bool> found(stored_.size());
    while (const auto member = reader_.next()) {
      size_.add(*member);
      if (size_.bytes() > most_)
        throw RefusedArchive("the stored artifacts are larger than --max-entry");
      const Place place = place_of(member->name);
      if (place.index >= stored_.size() || !is_wanted[place.index]) continue;
      look_for_interrupt();
      found[place.index] = true;
      add(*member, place);
    }
    for (size_t i = 0; i < stored_.size(); ++i)
      if (is_wanted[i] && !found[i])
        throw RefusedArchive("the stored artifacts are damaged: they lack " +
                             escape_controls(stored_[i]));
    put_in_place();
    done_ = true;
    while (!folders_.empty()) finish_folder();
  }

 private:
  struct Folder {  // whose mode and time come last, when nothing is put into it any more
    Place place;
    mode_t mode;
    bool is_new;
  };
  /// Drafts in one folder, in the order of their numbers.
  struct Batch {
    Place first;                     // one of them
    std::vector<std::string> names;  // that they are to have
  };

  void add(const Member& member, const Place& place) {
    const std::string path = path_of(place);
    if (member.kind == MemberKind::folder) return make_folder(member, place);
    if (place.way.empty() && member.kind == MemberKind::link)
      throw RefusedArchive("the stored artifacts have a symbolic link in the place of " + path);
    if (batches_.empty() || !is_in_one_folder(batches_.back().first, place)) {
      folder_ = parent_of(place);
      batches_.push_back({place, {}});
    }
    batches_.back().names.push_back(base_of(place));
    const std::string draft = draft_name(drafts_++);
    if (member.kind == MemberKind::file) {
      write_file(folder_.get(), draft.c_str(), member, path);
    } else if (symlinkat(member.target.c_str(), folder_.get(), draft.c_str()) != 0) {
      throw unrestored(path);
    }
  }

  static bool is_in_one_folder(const Place& a, const Place& b) {
    return a.index == b.index && a.way.size() == b.way.size() && !a.way.empty() &&
           std::equal(a.way.begin(), a.way.end() - 1, b.way.begin());
  }

  [[nodiscard]] std::string base_of(const Place& place) const {
    if (!place.way.empty()) return place.way.back();
    const std::string& named = stored_[place.index];
    return named.substr(named.rfind('/') + 1);
  }

  /// The folder that holds it; of what the caller named, made where it is missing, and links on the
  /// way are the caller's own.
  Descriptor parent_of(const Place& place) {
    if (!place.way.empty()) return open_folder(place.index, place.way.size() - 1, place.way);
    const std::string& named = stored_[place.index];
    const size_t slash = named.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : named.substr(0, slash + 1);
    make_parents(parent);
    Descriptor folder(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) throw unrestored(parent);
    return folder;
  }

  /// Where a folder is to be: what the caller named as it is, since a slash at its end has a link
  /// followed.
  struct Spot {
    Descriptor above;  // empty: the working folder
    std::string name;
    [[nodiscard]] int folder() const { return above ? above.get() : AT_FDCWD; }
  };
  Spot spot_of(const Place& place) {
    if (!place.way.empty()) return {parent_of(place), place.way.back()};
    const std::string& named = stored_[place.index];
    make_parents(named.substr(0, named.rfind('/') + 1));
    return {{}, named};
  }

  void make_parents(const std::string& path) {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      const std::string part = path.substr(0, at);
      if (mkdir(part.c_str(), permissions) == 0) {
        parents_.push_back(part);
      } else if (errno != EEXIST && errno != EISDIR) {
        throw unrestored(part);
      }
    }
  }

  [[nodiscard]] std::string draft_name(size_t number) const {
    return draft_prefix_ + std::to_string(number);
  }

  /// All are dated by the first one's own time: by any other clock they might be older than what
  /// was made just before.
  void put_in_place() {
    std::optional<timespec> time;
    for (const Batch& batch : batches_) {
      if (batches_.size() > 1) folder_ = parent_of(batch.first);
      for (const std::string& name : batch.names) {
        const std::string draft = draft_name(placed_);
        struct stat info {};
        if (!time && fstatat(folder_.get(), draft.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
          time = info.st_mtim;
        const std::array<timespec, 2> times{time.value_or(timespec{}), time.value_or(timespec{})};
        if (utimensat(folder_.get(), draft.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0 ||
            renameat(folder_.get(), draft.c_str(), folder_.get(), name.c_str()) != 0)
          throw unrestored(path_beside(batch.first, name));
        ++placed_;
      }
    }
  }

  /// Removes what is not in place yet, and folders that have been made for it.
  void undo() {
    size_t number = 0;
    for (const Batch& batch : batches_) {
      const size_t first = std::exchange(number, number + batch.names.size());
      if_there([&] {
        const Descriptor folder = parent_of(batch.first);
        for (size_t i = std::max(first, placed_); i < number; ++i)
          unlinkat(folder.get(), draft_name(i).c_str(), 0);
      });
    }
    for (; !folders_.empty(); folders_.pop_back()) {
      if (!folders_.back().is_new) continue;
      if_there([&] {
        const Spot spot = spot_of(folders_.back().place);
        unlinkat(spot.folder(), spot.name.c_str(), AT_REMOVEDIR);
      });
    }
    for (; !parents_.empty(); parents_.pop_back()) rmdir(parents_.back().c_str());
  }

  /// Of folders that may have gone meanwhile, there is nothing to remove.
  template <typename Action>
  static void if_there(const Action& action) {
    try {
      action();
    } catch (const Error&) {
    }
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
  void make_folder(const Member& member, const Place& place) {
    const std::string path = path_of(place);
    const Spot spot = spot_of(place);
    bool is_new = mkdirat(spot.folder(), spot.name.c_str(), owner_all) == 0;
    if (!is_new) {
      if (errno != EEXIST) throw unrestored(path);
      is_new = replace_other(spot.folder(), spot.name, place);
    }
    folders_.push_back({place, member.mode & permissions, is_new});
    const Descriptor folder(openat(spot.folder(), spot.name.c_str(), folder_flags));
    struct stat info {};
    if (!folder || fstat(folder.get(), &info) != 0) throw unrestored(path);
    if ((info.st_mode & owner_all) != owner_all &&
        fchmod(folder.get(), (info.st_mode & permissions) | owner_all) != 0)
      throw unrestored(path);
  }

  /// A file or a link that stands where a folder is to be goes. Not the caller's own path: he may
  /// have made that a link himself.
  /// Returns whether the folder is new.
  bool replace_other(int above, const std::string& base, const Place& place) const {
    struct stat info {};
    if (fstatat(above, base.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      throw unrestored(path_of(place));
    if (S_ISDIR(info.st_mode) || place.way.empty()) return false;
    if (unlinkat(above, base.c_str(), 0) != 0 || mkdirat(above, base.c_str(), owner_all) != 0)
      throw unrestored(path_of(place));
    return true;
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
      if (end > member.size) break;
      if (is_hole(block->bytes)) continue;
      if (const int error = write_all_at(file.get(), block->bytes, block->offset))
        throw unrestored(path, error);
      written = end;
    }
    if (end != member.size)
      throw RefusedArchive("the stored artifacts are damaged: wrong size of " + path);
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

  /// For people: of what has another name in the same folder.
  [[nodiscard]] std::string path_beside(Place place, const std::string& name) const {
    if (!place.way.empty()) place.way.back() = name;
    return path_of(place);
  }
  [[nodiscard]] std::string path_of(const Place& place) const {
    std::string path = stored_[place.index];
    for (const std::string& part : place.way) path += (path.ends_with('/') ? "" : "/") + part;
    return path;
  }

  ArchiveReader reader_;
  const std::vector<std::string>& stored_;
  uint64_t most_;
  int interrupt_;
  std::string draft_prefix_;
  UnpackedSize size_;
  std::vector<Batch> batches_;
  Descriptor folder_;  // of the last batch
  size_t drafts_ = 0;  // how many there are
  size_t placed_ = 0;  // and how many have got their name
  std::vector<Folder> folders_;
  std::vector<std::string> parents_;  // folders on the way to the caller's own paths, made here
  bool done_ = false;
};

}  // namespace

void restore(const FilePart& archive, const std::vector<std::string>& stored,
             const std::vector<std::string>& wanted, uint64_t most, int interrupt) {
  std::vector<bool> is_wanted;
  is_wanted.reserve(stored.size());
  for (const std::string& path : stored)
    is_wanted.push_back(std::find(wanted.begin(), wanted.end(), path) != wanted.end());
  Restorer(archive, stored, most, interrupt).run(is_wanted);
}

}  // namespace memolock
