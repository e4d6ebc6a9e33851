#include "src/artifacts/restore.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/artifacts/archive.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/draft_name.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/random.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr mode_t permissions = 0777;  // no set-user-ID and the like
constexpr mode_t all_mode_bits = 07777;
constexpr mode_t owner_all = 0700;
constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;

Error unrestored(const std::string& path, int error = errno) {
  return system_error("cannot restore " + escape_controls(path), error);
}

/// Where a member's name leads: a path of the list, and the way from there, in the bytes of the
/// name.
struct Place {
  uint32_t index = 0;
  std::vector<std::string_view> way;
};

/// Throws RefusedArchive for a name that leads elsewhere.
Place place_of(std::string_view name) {
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
    if (part.empty() || part == "." || part == ".." || part.size() > NAME_MAX) throw refuse();
    place.way.push_back(part);
    rest.remove_prefix(part.size() + 1);
  }
  return place;
}

std::string_view base_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

void look_for_interrupt(int interrupt) {
  if (await_readable(-1, interrupt, boot_now()) == Ready::interrupted) throw interruption();
}

/// Reads the archive to its end without writing anything: whether it holds what it claims to, and
/// no more than `most` bytes when it is unpacked.
void judge(const FilePart& archive, uint64_t most, int interrupt) {
  ArchiveReader reader(archive);
  UnpackedSize size;
  while (const auto member = reader.next()) {
    look_for_interrupt(interrupt);
    size.add(*member);
    if (const std::string excess = size.excess(); !excess.empty())
      throw RefusedArchive("the stored artifacts have " + excess);
    if (size.bytes() > most)
      throw RefusedArchive("the stored artifacts are larger than --max-entry");
    (void)place_of(member->name);
  }
}

/// The drafts that killed restores have left behind.
///
/// A restore keeps its first draft locked until it ends, if that draft is a file, and moves it into
/// place last. A later restore that can take this lock knows that the earlier one is dead, and
/// removes the drafts with its token, here and in folders that it looks at later. Where there is no
/// such file, or the file system has no locks, drafts are removed by age.
class LeftDrafts {
 public:
  /// Removes them from an open folder. What fails stays for the next time.
  void remove_from(int folder) {
    for_each_name(folder, ".", Hidden::show, [&](const std::string& name) {
      const auto token = DraftNames::token_in(name);
      if (token && is_left(folder, std::string(*token), name)) unlinkat(folder, name.c_str(), 0);
    });
  }

 private:
  // Longer than a restore takes, also one that was stopped over night.
  static constexpr std::chrono::hours old{24};

  bool is_left(int folder, const std::string& token, const std::string& name) {
    const auto known = goes_on_.find(token);
    if (known != goes_on_.end()) return !known->second;
    const std::string first = DraftNames(token).draft(0);
    constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    const Descriptor file(openat(folder, first.c_str(), flags));
    const int error = file ? try_lock_file(file.get()) : ENOENT;
    const bool goes_on = error == EAGAIN || error == EACCES;
    if (goes_on || error == 0) {
      goes_on_.emplace(token, goes_on);
      return !goes_on;
    }
    struct stat info {};
    return fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && is_older(info, old);
  }

  std::map<std::string, bool> goes_on_;  // the restore with that token, where its lock has told
};

/// Writes a file or link of an archive under another name, and puts all in place at the end.
///
/// An archive names a folder and then, before anything else, all that is in it, as pack() does. So
/// each folder is opened a fixed number of times, and one name is kept of each member.
class Restorer {
 public:
  Restorer(const FilePart& archive, const std::vector<std::string>& stored, int interrupt)
      : reader_(archive), stored_(stored), interrupt_(interrupt), names_(random_name()) {}
  ~Restorer() {
    if (!done_) undo();
  }
  Restorer(const Restorer&) = delete;
  Restorer& operator=(const Restorer&) = delete;

  /// `is_wanted`: of each path of the archive. All of them must be in it.
  void run(const std::vector<bool>& is_wanted) {
    std::vector<bool> found(stored_.size());
    while (const auto member = reader_.next()) {
      const Place place = place_of(member->name);
      if (place.index >= stored_.size() || !is_wanted[place.index]) continue;
      look_for_interrupt(interrupt_);
      found[place.index] = true;
      add(*member, place);
    }
    for (size_t i = 0; i < stored_.size(); ++i)
      if (is_wanted[i] && !found[i])
        throw RefusedArchive("the stored artifacts are damaged: they lack " +
                             escape_controls(stored_[i]));
    put_in_place();
    done_ = true;
    remove_replaced();
    for (auto number = count_of(folders_); number-- > 0;) finish_folder(number);
  }

 private:
  static constexpr uint32_t none = UINT32_MAX;

  /// What is made.
  struct Node {
    uint32_t above;    // the folder that holds it, among folders_; none: it is the caller's path
    uint32_t index;    // of the caller's path
    std::string name;  // in `above`; "": it is the caller's path
  };
  struct Folder {  // whose mode and time come last, when nothing is put into it any more
    Node node;
    uint32_t depth;  // below the caller's path
    mode_t mode;
    std::optional<mode_t> old_mode = std::nullopt;  // of one that was there, if it was changed
    bool is_new = false;
    bool has_replaced = false;  // a file or a link, which has another name until the end
  };
  struct OpenFolder {
    uint32_t number;  // among folders_
    Descriptor folder;
  };

  template <typename Several>
  static uint32_t count_of(const Several& several) {
    return static_cast<uint32_t>(several.size());
  }

  void add(const Member& member, const Place& place) {
    Node node{folder_above(member, place), place.index,
              place.way.empty() ? "" : std::string(place.way.back())};
    if (node.above == none) make_parents(stored_[node.index]);
    current_ = node.above;
    if (member.kind == MemberKind::folder) return make_folder(member, std::move(node));
    const std::string path = path_of(node);
    if (node.above == none && member.kind == MemberKind::link)
      throw RefusedArchive("the stored artifacts have a symbolic link in the place of " + path);
    const int folder = folder_of(node);
    if (node.above == none && parents_seen_.insert(parent_path(node)).second)
      left_.remove_from(folder);
    Descriptor file = member.kind == MemberKind::file ? make_draft(folder, path) : Descriptor();
    const std::string draft = names_.draft(drafts_.size());
    drafts_.push_back(std::move(node));
    if (member.kind == MemberKind::file) {
      const mode_t mode = member.mode & permissions;
      write_file(file.get(), member, path);
      if (drafts_.size() == 1) {
        first_ = std::move(file);
        first_mode_ = mode;
      } else if (fchmod(file.get(), mode) != 0) {
        throw unrestored(path);
      }
    } else if (symlinkat(member.target.c_str(), folder, draft.c_str()) != 0) {
      throw unrestored(path);
    }
  }

  /// The number of the folder that a member is in: the current one, or one above it.
  [[nodiscard]] uint32_t folder_above(const Member& member, const Place& place) const {
    if (place.way.empty()) return none;
    uint32_t folder = current_;
    while (folder != none && folders_[folder].depth >= place.way.size())
      folder = folders_[folder].node.above;
    if (!is_folder_of(folder, place))
      throw RefusedArchive("the stored artifacts are damaged: " + escape_controls(member.name) +
                           " does not follow its folder");
    return folder;
  }

  [[nodiscard]] bool is_folder_of(uint32_t folder, const Place& place) const {
    size_t depth = place.way.size() - 1;
    if (folder == none || folders_[folder].depth != depth ||
        folders_[folder].node.index != place.index)
      return false;
    for (; depth > 0; folder = folders_[folder].node.above)
      if (folders_[folder].node.name != place.way[--depth]) return false;
    return true;
  }

  /// The descriptor of a folder that was made. The last of those on the way to it stay open, and no
  /// others.
  int open_folder(uint32_t number) {
    constexpr size_t most_open = 16;
    const Folder& folder = folders_[number];
    const bool is_known = open_.size() > folder.depth && open_[folder.depth].number == number;
    if (is_known && open_[folder.depth].folder) {
      open_.erase(open_.begin() + folder.depth + 1, open_.end());
      return open_.back().folder.get();
    }
    const int above = open_above(folder);
    open_.erase(open_.begin() + folder.depth, open_.end());
    Descriptor opened = open_sparingly(
        [&] { return openat(above, name_of(folder).c_str(), folder_flags); });
    if (!opened) throw unrestored(path_of(folder.node));
    open_.push_back({number, std::move(opened)});
    if (open_.size() > most_open) open_[open_.size() - 1 - most_open].folder.reset();
    return open_.back().folder.get();
  }

  /// Opens something in the last of the open folders. With no descriptor left, the folders above
  /// that are closed one by one, from the outermost.
  template <typename Open>
  Descriptor open_sparingly(const Open& open) {
    for (;;) {
      Descriptor opened(open());
      if (opened || errno != EMFILE) return opened;
      const auto outermost = std::find_if(open_.begin(), open_.end(), [](const OpenFolder& each) {
        return static_cast<bool>(each.folder);
      });
      if (open_.end() - outermost < 2) return {};
      outermost->folder.reset();
    }
  }

  int open_above(const Folder& folder) {
    return folder.node.above == none ? AT_FDCWD : open_folder(folder.node.above);
  }

  /// In the folder above: what the caller named as it is, since a slash at its end has a link
  /// followed.
  [[nodiscard]] const std::string& name_of(const Folder& folder) const {
    return folder.node.above == none ? stored_[folder.node.index] : folder.node.name;
  }

  /// Of the folder that holds what the caller named.
  [[nodiscard]] std::string parent_path(const Node& node) const {
    const std::string& named = stored_[node.index];
    const std::string parent = named.substr(0, named.size() - base_of(named).size());
    return parent.empty() ? "." : parent;
  }

  /// The folder of a file or link; links on the way to what the caller named are the caller's own.
  int folder_of(const Node& node) {
    if (node.above != none) return open_folder(node.above);
    if (parent_ && parent_of_ == node.index) return parent_.get();
    const std::string path = parent_path(node);
    parent_ = open_sparingly(
        [&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (!parent_) throw unrestored(path);
    parent_of_ = node.index;
    return parent_.get();
  }

  /// Makes what is missing of the folders that lead to a path.
  void make_parents(const std::string& path) {
    const size_t end = path.size() - base_of(path).size();
    for (size_t at = path.find('/', 1); at < end; at = path.find('/', at + 1)) {
      const std::string part = path.substr(0, at);
      if (mkdir(part.c_str(), permissions) == 0) {
        parents_.push_back(part);
      } else if (errno != EEXIST && errno != EISDIR) {
        throw unrestored(part);
      }
    }
  }

  /// A first draft that is locked comes last: while there are others, its lock tells whether
  /// anybody is at work on them.
  [[nodiscard]] size_t next_to_place() const {
    return first_ ? (placed_ + 1) % drafts_.size() : placed_;
  }

  /// All are dated by the first one's own time: by any other clock they might be older than what
  /// was made just before.
  void put_in_place() {
    std::optional<timespec> time;
    for (; placed_ < drafts_.size(); ++placed_) {
      const size_t number = next_to_place();
      const Node& node = drafts_[number];
      const int folder = folder_of(node);
      const std::string draft = names_.draft(number);
      struct stat info {};
      if (!time && fstatat(folder, draft.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        time = info.st_mtim;
      const std::array<timespec, 2> times{time.value_or(timespec{}), time.value_or(timespec{})};
      const std::string name(node.above == none ? base_of(stored_[node.index]) : node.name);
      if ((number == 0 && first_ && fchmod(first_.get(), first_mode_) != 0) ||
          utimensat(folder, draft.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0 ||
          renameat(folder, draft.c_str(), folder, name.c_str()) != 0)
        throw unrestored(path_of(node));
    }
  }

  /// Removes what is not in place yet, and folders that have been made for it; the caller's own get
  /// back their modes, and what stood there.
  void undo() {
    for (; placed_ < drafts_.size(); ++placed_)
      if_there([&] {
        const size_t number = next_to_place();
        unlinkat(folder_of(drafts_[number]), names_.draft(number).c_str(), 0);
      });
    for (auto number = count_of(folders_); number-- > 0;) if_there([&] { undo_folder(number); });
    for (; !parents_.empty(); parents_.pop_back()) rmdir(parents_.back().c_str());
  }

  void undo_folder(uint32_t number) {
    const Folder& folder = folders_[number];
    if (folder.old_mode) (void)fchmod(open_folder(number), *folder.old_mode);
    if (!folder.is_new && !folder.has_replaced) return;
    const int above = open_above(folder);
    if (folder.is_new) unlinkat(above, name_of(folder).c_str(), AT_REMOVEDIR);
    if (!folder.has_replaced) return;
    const std::string replaced = names_.replaced(number);
    if (renameat(above, replaced.c_str(), above, name_of(folder).c_str()) != 0)
      unlinkat(above, replaced.c_str(), 0);  // files are in place there already
  }

  /// Of folders that may have gone meanwhile, there is nothing to remove.
  template <typename Action>
  static void if_there(const Action& action) {
    try {
      action();
    } catch (const Error&) {
    }
  }

  /// For now its owner may do everything there.
  void make_folder(const Member& member, Node node) {
    const uint32_t number = count_of(folders_);
    const uint32_t depth = node.above == none ? 0 : folders_[node.above].depth + 1;
    Folder& folder = folders_.emplace_back(
        Folder{std::move(node), depth, static_cast<mode_t>(member.mode & permissions)});
    const int above = open_above(folder);
    folder.is_new = mkdirat(above, name_of(folder).c_str(), owner_all) == 0;
    if (!folder.is_new) {
      if (errno != EEXIST) throw unrestored(path_of(folder.node));
      replace_other(above, number);
    }
    current_ = number;
    const int opened = open_folder(number);
    if (!folder.is_new) left_.remove_from(opened);
    struct stat info {};
    if (fstat(opened, &info) != 0) throw unrestored(path_of(folder.node));
    if ((info.st_mode & owner_all) == owner_all) return;
    if (fchmod(opened, (info.st_mode & permissions) | owner_all) != 0)
      throw unrestored(path_of(folder.node));
    folder.old_mode = info.st_mode & all_mode_bits;
  }

  /// A file or a link that stands where a folder is to be gets another name, until all is in place.
  /// Not the caller's own path, which may be a link on purpose.
  void replace_other(int above, uint32_t number) {
    Folder& folder = folders_[number];
    const char* const name = name_of(folder).c_str();
    struct stat info {};
    if (fstatat(above, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
      throw unrestored(path_of(folder.node));
    if (S_ISDIR(info.st_mode) || folder.node.above == none) return;
    folder.has_replaced = renameat(above, name, above, names_.replaced(number).c_str()) == 0;
    folder.is_new = folder.has_replaced && mkdirat(above, name, owner_all) == 0;
    if (!folder.is_new) throw unrestored(path_of(folder.node));
  }

  void remove_replaced() {
    for (uint32_t number = 0; number < folders_.size(); ++number)
      if (folders_[number].has_replaced)
        unlinkat(open_above(folders_[number]), names_.replaced(number).c_str(), 0);
  }

  /// The file of the next draft. The first one has its name when it is locked, by which other
  /// restores tell that this one goes on.
  Descriptor make_draft(int folder, const std::string& path) {
    constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    const std::string draft = names_.draft(drafts_.size());
    const std::string name = drafts_.empty() ? names_.unlocked() : draft;
    Descriptor file = open_sparingly([&] { return openat(folder, name.c_str(), flags, 0600); });
    if (!file) throw unrestored(path);
    if (!drafts_.empty()) return file;
    (void)try_lock_file(file.get());
    if (renameat(folder, name.c_str(), folder, draft.c_str()) == 0) return file;
    const Error error = unrestored(path);
    unlinkat(folder, name.c_str(), 0);
    throw error;
  }

  void write_file(int file, const Member& member, const std::string& path) {
    uint64_t end = 0;
    uint64_t written = 0;  // up to there, holes aside
    while (const auto block = reader_.next_block()) {
      look_for_interrupt(interrupt_);
      end = block->offset + block->bytes.size();
      if (end > member.size) break;
      if (is_hole(block->bytes)) continue;
      if (const int error = write_all_at(file, block->bytes, block->offset))
        throw unrestored(path, error);
      written = end;
    }
    if (end != member.size)
      throw RefusedArchive("the stored artifacts are damaged: wrong size of " + path);
    if (written != end && ftruncate(file, static_cast<off_t>(end)) != 0) throw unrestored(path);
  }

  /// Whether it is nothing but zeros, which need no room.
  static bool is_hole(std::string_view bytes) {
    return !bytes.empty() && bytes.front() == '\0' &&
           bytes.substr(1) == bytes.substr(0, bytes.size() - 1);
  }

  void finish_folder(uint32_t number) {
    const int folder = open_folder(number);
    if (fchmod(folder, folders_[number].mode) != 0 || futimens(folder, nullptr) != 0)
      throw unrestored(path_of(folders_[number].node));
  }

  /// For people.
  [[nodiscard]] std::string path_of(const Node& node) const {
    std::string below;
    const Node* top = &node;
    for (; top->above != none; top = &folders_[top->above].node)
      below.insert(0, top->name).insert(0, "/");
    const std::string& path = stored_[top->index];
    return path.ends_with('/') && !below.empty() ? path + below.substr(1) : path + below;
  }

  ArchiveReader reader_;
  const std::vector<std::string>& stored_;
  int interrupt_;
  DraftNames names_;
  LeftDrafts left_;
  std::set<std::string> parents_seen_;  // the paths of those from which they were removed
  std::deque<Node> drafts_;             // in the order of their numbers
  size_t placed_ = 0;                   // how many have got their name
  // The first draft, if it is a file: locked, and open to whoever looks for the lock until it is
  // put in place.
  Descriptor first_;
  mode_t first_mode_ = 0;
  std::deque<Folder> folders_;
  uint32_t current_ = none;           // the folder of the last member, or itself
  std::vector<OpenFolder> open_;      // each in the one before; only the last ones have descriptors
  Descriptor parent_;                 // the folder that holds the caller's path
  uint32_t parent_of_ = none;         // of this index
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
  judge(archive, most, interrupt);
  Restorer(archive, stored, interrupt).run(is_wanted);
}

}  // namespace memolock
