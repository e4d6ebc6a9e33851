#include "src/local/gc.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "src/entry/key.hpp"
#include "src/store/directory.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/eviction.hpp"
#include "src/store/file_names.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {
namespace {

constexpr std::chrono::hours interval{1};
// Longer than any process takes between creating a file or directory and locking or filling it.
constexpr std::chrono::minutes settling{1};
// Longer than `doctor` takes, even on a network file system.
constexpr std::chrono::minutes examination{10};

constexpr int file_flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/// Prevents other processes from taking an entry's run lock, and other `gc` processes from
/// reserving it. Empty if the lock is held or, with IfMissing::leave, has no file. The destructor
/// removes the lock's file.
class RemovalGuard {
 public:
  RemovalGuard(int directory, const std::string& lock_name, IfMissing missing)
      : directory_(directory), lock_name_(lock_name) {
    for (;;) {
      file_ = open_lock(missing);
      if (file_ && try_reserve_file(file_.get()) != 0) file_.reset();
      // The previous owner may have removed the file between the two calls. If so, try again.
      if (!file_ || is_same_file(directory_, lock_name_, file_.get())) return;
    }
  }
  ~RemovalGuard() {
    if (file_) remove_if_same_file(directory_, lock_name_, file_.get());
  }
  RemovalGuard(const RemovalGuard&) = delete;
  RemovalGuard& operator=(const RemovalGuard&) = delete;

  explicit operator bool() const { return static_cast<bool>(file_); }

 private:
  [[nodiscard]] Descriptor open_lock(IfMissing missing) const {
    constexpr int flags = O_RDWR | file_flags;
    return missing == IfMissing::make ? make_file(directory_, lock_name_, flags)
                                      : Descriptor(openat(directory_, lock_name_.c_str(), flags));
  }

  int directory_;
  const std::string& lock_name_;
  Descriptor file_;
};

/// Whether no name in the open directory was created or removed within the last minute.
bool is_settled(int directory) {
  struct stat info {};
  return fstat(directory, &info) == 0 && is_older(info, settling);
}

bool is_locked(int directory, const std::string& name) {
  const OwnedFile file = open_owned_file(directory, name, O_RDONLY);
  return file && is_file_locked(file.get());
}

/// The files of one tag.
class TagDirectory {
 public:
  TagDirectory(int root, std::string name, GcMode mode, GcResult& result)
      : name_(std::move(name)),
        mode_(mode),
        result_(result),
        directory_(open_directory(root, name_)),
        is_settled_(directory_ && is_settled(directory_.get())) {}

  /// Removes files that can no longer be used, and adds the other entries to `candidates`.
  void remove_useless(LruCandidates& candidates) {
    for_each_file([&](FileKind kind, const std::string& name) {
      if (kind == FileKind::entry || kind == FileKind::failed || kind == FileKind::mark) {
        remove_unless_retained(kind, name, candidates);
      } else if (kind != FileKind::foreign) {
        remove_leftover(kind, name);
      }
    });
  }

  /// Removes entries that were last used at `newest` or earlier, until `rest`, the remaining bytes,
  /// is at most `max_size`.
  void remove_least_recently_used(Nanoseconds newest, uint64_t max_size, uint64_t& rest) {
    for_each_file([&](FileKind kind, const std::string& name) {
      if ((kind != FileKind::entry && kind != FileKind::failed) || rest <= max_size) return;
      const OwnedFile file = open_owned_file(directory_.get(), name, O_RDONLY);
      if (!file || last_use_of(file) > newest || !EntryFile::is_memolock_file(file.get())) return;
      // A dry run has already counted the entries that can no longer answer.
      if (mode_ == GcMode::dry_run && !may_still_answer(file, *disposition_in(kind))) return;
      if (remove_entry(name, file)) rest -= std::min(rest, file.disk_size);
    });
  }

  /// Whether, if the directory is now empty, no process is about to create a file in it.
  [[nodiscard]] bool was_settled() const { return is_settled_; }

 private:
  template <typename Each>
  void for_each_file(const Each& each) {
    if (!directory_) return;
    for_each_name(directory_.get(), ".", DotNames::skip,
                  [&](const std::string& name) { each(kind_of_file(name), name); });
  }

  void remove_unless_retained(FileKind kind, const std::string& name, LruCandidates& candidates) {
    const OwnedFile file = open_owned_file(directory_.get(), name, O_RDONLY);
    if (!file || !EntryFile::is_memolock_file(file.get())) return;
    const bool stays = may_still_answer(file, *disposition_in(kind)) || !remove_entry(name, file);
    // Marks are not evicted: without its mark, a job would run again too early.
    if (stays && kind != FileKind::mark) candidates.add(file);
  }

  bool remove_entry(const std::string& name, const OwnedFile& file) {
    const EntryFileNames files(name_, name);
    if (!remove_if_unlocked(files, name, file.get())) return false;
    ++result_.entries;
    result_.bytes += file.disk_size;
    return true;
  }

  void remove_leftover(FileKind kind, const std::string& name) {
    struct stat info {};
    if (fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (!try_remove_leftover(kind, name, info)) return;
    ++result_.leftovers;
    result_.bytes += static_cast<uint64_t>(info.st_size);
  }

  bool try_remove_leftover(FileKind kind, const std::string& name, const struct stat& info) {
    // The process that has created a spool does not use its name.
    if (kind == FileKind::spool) return remove(name);
    const EntryFileNames files(name_, name);
    // A process holds a lock on an answer while it writes it.
    if (kind == FileKind::answer &&
        (!is_older(info, settling) || is_locked(directory_.get(), name)))
      return false;
    if (kind != FileKind::lock) return remove_if_unlocked(files, name, -1);
    if (mode_ == GcMode::dry_run) return !is_locked(directory_.get(), files.lock);
    return static_cast<bool>(RemovalGuard(directory_.get(), files.lock, IfMissing::leave));
  }

  /// Removes `name` if it is the file that is open as `file`; if that is -1, removes any file.
  /// Returns false if it is another file or the run lock is held.
  bool remove_if_unlocked(const EntryFileNames& files, const std::string& name, int file) {
    if (mode_ == GcMode::dry_run) return !is_locked(directory_.get(), files.lock);
    const RemovalGuard guard(directory_.get(), files.lock, IfMissing::make);
    if (!guard || (file >= 0 && !is_same_file(directory_.get(), name, file))) return false;
    return remove(name);
  }

  bool remove(const std::string& name) {
    return mode_ == GcMode::dry_run || unlinkat(directory_.get(), name.c_str(), 0) == 0;
  }

  std::string name_;
  GcMode mode_;
  GcResult& result_;
  Descriptor directory_;
  bool is_settled_;
};

/// Removes the scratch directory of a `doctor` that was killed.
void remove_scratch(int root, const std::string& name, GcResult& result, GcMode mode) {
  struct stat info {};
  if (fstatat(root, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !is_older(info, examination))
    return;
  ++result.leftovers;
  if (mode == GcMode::dry_run) return;
  if (const Descriptor scratch = open_directory(root, name))
    for_each_name(scratch.get(), ".", DotNames::show,
                  [&](const std::string& file) { unlinkat(scratch.get(), file.c_str(), 0); });
  unlinkat(root, name.c_str(), AT_REMOVEDIR);
}

void remove_useless(int root, GcMode mode, GcResult& result, LruCandidates& candidates) {
  const std::string scratch = '.' + std::string(probe_prefix);
  for_each_name(root, ".", DotNames::show, [&](const std::string& name) {
    if (name.starts_with(scratch)) return remove_scratch(root, name, result, mode);
    if (name.front() == '.') return;
    TagDirectory directory(root, name, mode, result);
    directory.remove_useless(candidates);
    // Fails if it is not empty.
    if (directory.was_settled() && mode == GcMode::remove)
      unlinkat(root, name.c_str(), AT_REMOVEDIR);
  });
}

void remove_least_recently_used(int root, uint64_t max_size, GcMode mode, GcResult& result,
                                LruCandidates candidates) {
  uint64_t rest = candidates.total_size();
  const Nanoseconds newest = candidates.newest_to_remove(max_size);
  for_each_name(root, ".", DotNames::skip, [&](const std::string& name) {
    TagDirectory(root, name, mode, result).remove_least_recently_used(newest, max_size, rest);
  });
}

/// Empty, with errno set, on failure.
Descriptor open_stamp(int root) { return make_file(root, gc_stamp, O_RDWR | file_flags); }

}  // namespace

GcLock GcLock::acquire(int root) {
  GcLock lock(open_stamp(root));
  if (!lock.stamp_) throw system_error("cannot write the store's " + std::string(gc_stamp), errno);
  if (const int error = lock_file(lock.stamp_.get()))
    throw system_error("cannot lock the store's " + std::string(gc_stamp), error);
  lock.note_time();
  return lock;
}

std::optional<GcLock> GcLock::acquire_if_due(const std::string& directory) {
  const std::string path = directory + '/' + std::string(gc_stamp);
  struct stat info {};
  const bool is_new = stat(path.c_str(), &info) != 0;
  if (!is_new && !is_older(info, interval)) return std::nullopt;
  const Descriptor root = open_store_directory(directory, SymlinkPolicy::follow);
  GcLock lock(root ? open_stamp(root.get()) : Descriptor());
  if (is_new || !lock.stamp_ || try_lock_file(lock.stamp_.get()) != 0) return std::nullopt;
  // Another process may have had the lock in the meantime.
  if (fstat(lock.stamp_.get(), &info) != 0 || !is_older(info, interval)) return std::nullopt;
  lock.note_time();
  return lock;
}

void GcLock::note_time() const { (void)futimens(stamp_.get(), nullptr); }

GcResult collect_garbage(int root, uint64_t max_size, GcMode mode) {
  GcResult result;
  LruCandidates candidates;
  remove_useless(root, mode, result, candidates);
  result.kept = candidates.count();
  result.kept_bytes = candidates.total_size();
  if (candidates.total_size() > max_size) {
    const GcResult before = result;
    remove_least_recently_used(root, max_size, mode, result, std::move(candidates));
    result.kept -= result.entries - before.entries;
    result.kept_bytes -= result.bytes - before.bytes;
  }
  result.bytes += remove_unused_counters(root, mode);
  return result;
}

GcResult collect_garbage_in_all(int parent, GcMode mode) {
  GcResult result;
  for_each_name(parent, ".", DotNames::skip, [&](const std::string& name) {
    const Descriptor root = open_directory(parent, name);
    if (!root) return;
    const bool was_settled = is_settled(root.get());
    result += collect_garbage(root.get(), UINT64_MAX, mode);
    if (was_settled && mode == GcMode::remove) unlinkat(parent, name.c_str(), AT_REMOVEDIR);
  });
  return result;
}

}  // namespace memolock
