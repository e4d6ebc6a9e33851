#include "src/local/gc.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "src/entry/freshness.hpp"
#include "src/entry/key.hpp"
#include "src/store/directory.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"

namespace memolock {
namespace {

constexpr std::chrono::hours interval{1};
// Longer than any process takes between making such a thing and locking it or filling it.
constexpr std::chrono::minutes settling{1};
// Longer than `doctor` takes, also on a network's file system.
constexpr std::chrono::minutes examination{10};

constexpr int file_flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/// Keeps everybody from taking an entry's run lock, and every other gc from barring it. Its file
/// goes with it.
class SharedLock {
 public:
  SharedLock(int folder, const std::string& name, Missing missing) : folder_(folder), name_(name) {
    for (;;) {
      file_ = open_lock(missing);
      if (file_ && try_reserve_file(file_.get()) != 0) file_.reset();
      // Its last owner may have unlinked it between the two calls.
      if (!file_ || is_same_file(folder_, name_, file_.get())) return;
    }
  }
  ~SharedLock() {
    if (file_) remove_if_same(folder_, name_, file_.get());
  }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

  explicit operator bool() const { return static_cast<bool>(file_); }

 private:
  [[nodiscard]] Descriptor open_lock(Missing missing) const {
    constexpr int flags = O_RDWR | file_flags;
    return missing == Missing::make ? make_file(folder_, name_, flags)
                                    : Descriptor(openat(folder_, name_.c_str(), flags));
  }

  int folder_;
  const std::string& name_;
  Descriptor file_;
};

/// When an entry was last used; long ago, where that is not known.
Nanoseconds use_of(const OwnedFile& file) {
  return is_in_future(file.last_used, wall_now()) ? Nanoseconds(0) : file.last_used;
}

/// When entries were last used, and their sizes: which must go so that the rest is small enough.
class LruCandidates {
 public:
  void add(const OwnedFile& file) {
    all_.push_back({use_of(file), file.disk_size});
    sum_ += file.disk_size;
  }
  [[nodiscard]] uint64_t sum() const { return sum_; }
  [[nodiscard]] size_t size() const { return all_.size(); }

  /// The last use of the youngest that must go.
  [[nodiscard]] Nanoseconds limit(uint64_t max_size) {
    std::sort(all_.begin(), all_.end());
    uint64_t rest = sum_;
    for (const auto& [used, size] : all_) {
      rest -= size;
      if (rest <= max_size) return used;
    }
    return Nanoseconds(0);
  }

 private:
  std::vector<std::pair<Nanoseconds, uint64_t>> all_;
  uint64_t sum_ = 0;
};

/// Whether no name in the open folder has come or gone for long.
bool is_settled(int folder) {
  struct stat info {};
  return fstat(folder, &info) == 0 && is_older(info, settling);
}

/// The files of one tag.
class TagDirectory {
 public:
  TagDirectory(int root, std::string name, GcMode mode, GcResult& result)
      : name_(std::move(name)), mode_(mode), result_(result), folder_(open_folder(root, name_)) {
    settled_ = folder_ && is_settled(folder_.get());
  }

  /// Drops what is of no use to anybody, and notes the use of the rest.
  void drop_useless(LruCandidates& candidates) {
    each([&](FileKind kind, const std::string& file) {
      if (kind == FileKind::entry || kind == FileKind::failed || kind == FileKind::mark) {
        judge(kind, file, candidates);
      } else if (kind != FileKind::foreign) {
        drop_leftover(kind, file);
      }
    });
  }

  /// Drops entries that have not been used since `limit`, until `rest` bytes are no more than
  /// `max_size`.
  void drop_unused(Nanoseconds limit, uint64_t max_size, uint64_t& rest) {
    each([&](FileKind kind, const std::string& file) {
      if ((kind != FileKind::entry && kind != FileKind::failed) || rest <= max_size) return;
      const OwnedFile opened = open_owned(folder_.get(), file, O_RDONLY);
      if (!opened || use_of(opened) > limit || !EntryFile::is_one(opened.get())) return;
      // What is of no use has been counted already.
      if (mode_ == GcMode::dry_run && !is_of_use(opened, kind)) return;
      if (drop_entry(file, opened)) rest -= std::min(rest, opened.disk_size);
    });
  }

  /// Whether, if it is empty now, nobody is about to put something into it.
  [[nodiscard]] bool is_at_rest() const { return settled_; }

 private:
  template <typename Each>
  void each(const Each& each) {
    if (!folder_) return;
    each_name(folder_.get(), ".", Hidden::skip,
              [&](const std::string& file) { each(kind_of_file(file), file); });
  }

  void judge(FileKind kind, const std::string& name, LruCandidates& candidates) {
    const OwnedFile file = open_owned(folder_.get(), name, O_RDONLY);
    if (!file || !EntryFile::is_one(file.get())) return;
    const bool stays = is_of_use(file, kind) || !drop_entry(name, file);
    // A mark that went before its time would have a job run again.
    if (stays && kind != FileKind::mark) candidates.add(file);
  }

  /// What another version has written may be of use to that.
  static bool is_of_use(const OwnedFile& file, FileKind kind) {
    const auto entry = EntryFile::open(file.duplicate());
    if (!entry) return is_of_another_version(file);
    const Record& record = entry->record();
    if (record.disposition != disposition_in(kind) ||
        entry->payload_size() != record.out_size + record.err_size + record.files_size)
      return false;
    const Nanoseconds now = wall_now();
    const auto age = age_of(record, now);
    return age ? *age < record.retained : !is_in_future(record.ended, now);
  }

  static bool is_of_another_version(const OwnedFile& file) {
    std::string front(fixed_part_size, '\0');
    const ssize_t got = read_all_at(file.get(), front.data(), front.size(), 0);
    return got == static_cast<ssize_t>(front.size()) && !payload_offset(front);
  }

  bool drop_entry(const std::string& name, const OwnedFile& file) {
    const EntryFileNames files(name_, name);
    if (!remove_unheld(files, name, file.get())) return false;
    ++result_.entries;
    result_.bytes += file.disk_size;
    return true;
  }

  void drop_leftover(FileKind kind, const std::string& name) {
    struct stat info {};
    if (fstatat(folder_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (!remove_leftover(kind, name, info)) return;
    ++result_.leftovers;
    result_.bytes += static_cast<uint64_t>(info.st_size);
  }

  bool remove_leftover(FileKind kind, const std::string& name, const struct stat& info) {
    // Its own process has no more use for the name.
    if (kind == FileKind::spool) return remove(name);
    const EntryFileNames files(name_, name);
    if (kind == FileKind::answer && (!is_older(info, settling) || is_being_written(name)))
      return false;
    if (kind != FileKind::lock) return remove_unheld(files, name, -1);
    if (mode_ == GcMode::dry_run) return !is_held(files);
    return static_cast<bool>(SharedLock(folder_.get(), files.lock, Missing::leave));
  }

  /// Removes `name`, if `file` has it (-1: whatever has it), while nobody can come to hold the run
  /// lock. False: somebody holds it.
  bool remove_unheld(const EntryFileNames& files, const std::string& name, int file) {
    if (mode_ == GcMode::dry_run) return !is_held(files);
    const SharedLock shared_lock(folder_.get(), files.lock, Missing::make);
    if (!shared_lock || (file >= 0 && !is_same_file(folder_.get(), name, file))) return false;
    return remove(name);
  }

  bool remove(const std::string& name) {
    return mode_ == GcMode::dry_run || unlinkat(folder_.get(), name.c_str(), 0) == 0;
  }

  [[nodiscard]] bool is_held(const EntryFileNames& files) const {
    const OwnedFile lock = open_owned(folder_.get(), files.lock, O_RDONLY);
    return lock && is_file_locked(lock.get());
  }

  /// `set` has its file locked until it ends.
  [[nodiscard]] bool is_being_written(const std::string& name) const {
    const OwnedFile file = open_owned(folder_.get(), name, O_RDONLY);
    return file && is_file_locked(file.get());
  }

  std::string name_;
  GcMode mode_;
  GcResult& result_;
  Descriptor folder_;
  bool settled_ = false;
};

/// Removes what a `doctor` has left that was killed.
void remove_scratch(int root, const std::string& name, GcResult& result, GcMode mode) {
  struct stat info {};
  if (fstatat(root, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !is_older(info, examination))
    return;
  ++result.leftovers;
  if (mode == GcMode::dry_run) return;
  if (const Descriptor folder = open_folder(root, name))
    each_name(folder.get(), ".", Hidden::show,
              [&](const std::string& file) { unlinkat(folder.get(), file.c_str(), 0); });
  unlinkat(root, name.c_str(), AT_REMOVEDIR);
}

void sweep_folders(int root, GcMode mode, GcResult& result, LruCandidates& candidates) {
  const std::string scratch = '.' + std::string(probe_prefix);
  each_name(root, ".", Hidden::show, [&](const std::string& name) {
    if (name.starts_with(scratch)) return remove_scratch(root, name, result, mode);
    if (name.front() == '.') return;
    TagDirectory folder(root, name, mode, result);
    folder.drop_useless(candidates);
    // One that is not empty stays.
    if (folder.is_at_rest() && mode == GcMode::remove) unlinkat(root, name.c_str(), AT_REMOVEDIR);
  });
}

void drop_least_recently_used(int root, uint64_t max_size, GcMode mode, GcResult& result,
                              LruCandidates candidates) {
  uint64_t rest = candidates.sum();
  const Nanoseconds limit = candidates.limit(max_size);
  each_name(root, ".", Hidden::skip, [&](const std::string& name) {
    TagDirectory(root, name, mode, result).drop_unused(limit, max_size, rest);
  });
}

/// Empty, with errno set, when it cannot be opened.
Descriptor open_stamp(int root) { return make_file(root, gc_stamp, O_RDWR | file_flags); }

}  // namespace

GcTurn GcTurn::wait_for(int root) {
  GcTurn turn(open_stamp(root));
  if (!turn.stamp_) throw system_error("cannot write the store's " + std::string(gc_stamp), errno);
  if (const int error = lock_file(turn.stamp_.get()))
    throw system_error("cannot lock the store's " + std::string(gc_stamp), error);
  turn.note_time();
  return turn;
}

std::optional<GcTurn> GcTurn::take_if_due(const std::string& directory) {
  const std::string path = directory + '/' + std::string(gc_stamp);
  struct stat info {};
  const bool is_new = stat(path.c_str(), &info) != 0;
  if (!is_new && !is_older(info, interval)) return std::nullopt;
  const Descriptor root = open_store_directory(directory, DirectoryLink::follow);
  GcTurn turn(root ? open_stamp(root.get()) : Descriptor());
  if (is_new || !turn.stamp_ || try_lock_file(turn.stamp_.get()) != 0) return std::nullopt;
  // Another may have had it between the two looks.
  if (fstat(turn.stamp_.get(), &info) != 0 || !is_older(info, interval)) return std::nullopt;
  turn.note_time();
  return turn;
}

void GcTurn::note_time() const { (void)futimens(stamp_.get(), nullptr); }

GcResult collect_garbage(int root, uint64_t max_size, GcMode mode) {
  GcResult result;
  LruCandidates candidates;
  sweep_folders(root, mode, result, candidates);
  result.kept = candidates.size();
  result.kept_bytes = candidates.sum();
  if (candidates.sum() > max_size) {
    const GcResult before = result;
    drop_least_recently_used(root, max_size, mode, result, std::move(candidates));
    result.kept -= result.entries - before.entries;
    result.kept_bytes -= result.bytes - before.bytes;
  }
  result.bytes += drop_unused_counts(root, mode);
  return result;
}

GcResult collect_garbage_in_all(int folder, GcMode mode) {
  GcResult result;
  each_name(folder, ".", Hidden::skip, [&](const std::string& name) {
    const Descriptor root = open_folder(folder, name);
    if (!root) return;
    const bool settled = is_settled(root.get());
    result += collect_garbage(root.get(), UINT64_MAX, mode);
    if (settled && mode == GcMode::remove) unlinkat(folder, name.c_str(), AT_REMOVEDIR);
  });
  return result;
}

}  // namespace memolock
