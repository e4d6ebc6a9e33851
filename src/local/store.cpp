#include "src/local/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "src/entry/freshness.hpp"
#include "src/local/lock.hpp"
#include "src/local/promise.hpp"
#include "src/local/watch.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/store/key_containers.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"

namespace memolock {
namespace {

std::string joined(const std::string& directory, const std::string& name) {
  return directory + '/' + name;
}

std::string directory_of(const std::string& tag) {
  return EntryFileNames(Key{tag, "any"}).directory;
}

}  // namespace

LocalStore::LocalStore(const std::string& directory, SymlinkPolicy link, const Log& log)
    : directory_(directory), link_(link), once_(log) {
  open_root(IfMissing::leave);
  log.debug("the store is {}", directory_);
}

void LocalStore::open_root(IfMissing missing) {
  const auto open = missing == IfMissing::make ? make_store_directory : open_store_directory;
  // The owner of the directory above could replace this one, so it must pass the same checks.
  if (link_ == SymlinkPolicy::refuse && !open(directory_.substr(0, directory_.rfind('/')), link_))
    return;
  root_ = open(directory_, link_);
}

std::unique_ptr<Entry> LocalStore::look_up(const Key& key) {
  const EntryFileNames files(key);
  return open_stored(key, files, files.entry, Disposition::kept);
}

std::unique_ptr<Entry> LocalStore::look_up_failure(const Key& key) {
  const EntryFileNames files(key);
  return open_stored(key, files, files.failed, Disposition::failed);
}

std::optional<Record> LocalStore::look_up_mark(const Key& key) {
  const EntryFileNames files(key);
  const auto entry = open_stored(key, files, files.mark, Disposition::marked);
  return entry ? std::optional(entry->record()) : std::nullopt;
}

/// Null if it is missing, damaged or foreign.
std::unique_ptr<Entry> LocalStore::open_stored(const Key& key, const EntryFileNames& files,
                                               const std::string& name, Disposition disposition) {
  if (!root_) return nullptr;
  OwnedFile file = open_owned_file(root_.get(), joined(files.directory, name), O_RDONLY);
  if (!file) {
    if (errno == ENOENT) return nullptr;
    if (errno != ELOOP && errno != EPERM && errno != ENXIO && errno != EISDIR && errno != ENOTDIR)
      throw system_error("cannot open " + joined(directory_, joined(files.directory, name)), errno);
    once_.info("{}: {} is not a regular file that this user owns; treated as a miss", key.shown(),
               describe_disposition(disposition));
    return nullptr;
  }
  auto entry = EntryFile::open(std::move(file));
  if (entry && entry->record().disposition == disposition && entry->record().key == key)
    return entry;
  once_.info("{}: {} is damaged or not an entry; treated as a miss", key.shown(),
             describe_disposition(disposition));
  return nullptr;
}

std::unique_ptr<Lock> LocalStore::try_acquire(const Key& key, Producer) {
  const EntryFileNames files(key);
  const std::string path = joined(directory_, files.directory);
  if (!root_) open_root(IfMissing::make);
  for (;;) {
    if (Descriptor directory = open_directory(root_.get(), files.directory)) {
      if (auto lock = try_lock(path, files, std::move(directory))) return std::move(*lock);
      continue;  // `gc` removed the empty directory between the two calls
    }
    if (errno != ENOENT) throw system_error("cannot open " + path, errno);
    const int error = make_directory(root_.get(), files.directory);
    if (error == 0 || error == EEXIST) continue;
    if (error != ENOENT) throw system_error("cannot create " + path, error);
    open_root(IfMissing::make);  // it was removed, perhaps by `gc`
  }
}

std::unique_ptr<Watch> LocalStore::watch_run(const Key& key) {
  if (!root_) return nullptr;
  return memolock::watch_run(root_.get(), key, last_wake_fifo_,
                             [this, key] { return look_up(key); });
}

std::unique_ptr<Promise> LocalStore::open_promise(const Key& key, const std::string& token) {
  if (!root_ && !token.empty()) return nullptr;
  if (!root_) open_root(IfMissing::make);
  return memolock::open_promise(directory_, root_.get(), key, token);
}

bool LocalStore::is_locked(const Key& key) {
  if (!root_) return false;
  const EntryFileNames files(key);
  const OwnedFile lock = open_owned_file(root_.get(), joined(files.directory, files.lock),
                                         O_RDONLY);
  return lock && is_file_locked(lock.get());
}

bool LocalStore::exists(const Key& key) {
  if (look_up(key) || look_up_failure(key) || look_up_mark(key)) return true;
  const auto run = watch_run(key);
  return run && !run->forgotten();
}

bool LocalStore::forget(const Key& key) { return forget_files(EntryFileNames(key)); }

bool LocalStore::forget_files(const EntryFileNames& files) {
  if (!root_) return false;
  const Descriptor directory = open_directory(root_.get(), files.directory);
  if (!directory) {
    if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) return false;
    throw system_error("cannot open " + joined(directory_, files.directory), errno);
  }
  bool found = false;
  if (const LiveRun run = open_run(root_.get(), files, O_RDWR)) {
    if (const int error = write_all_at(run.file.get(), "\1", forgotten_offset))
      throw system_error(
          "cannot write to " + joined(directory_, joined(files.directory, files.run)), error);
    found = true;
  }
  for (const std::string& name : {files.entry, files.failed, files.mark}) {
    if (unlinkat(directory.get(), name.c_str(), 0) == 0) {
      found = true;
    } else if (errno != ENOENT) {
      throw system_error("cannot remove " + joined(directory_, joined(files.directory, name)),
                         errno);
    }
  }
  remove_dead_run(joined(directory_, files.directory), files, directory.get());
  return found;
}

/// Whether `path` exists and was not written by memolock.
bool LocalStore::is_foreign(const std::string& path) const {
  const OwnedFile file = open_owned_file(root_.get(), path, O_RDONLY);
  return file ? !EntryFile::is_memolock_file(file.get()) : errno != ENOENT;
}

size_t LocalStore::forget_all(const std::string& tag, Ownership ownership) {
  if (!root_) return 0;
  const std::string directory = directory_of(tag);
  NameSet entries;  // each entry once, however many files it has
  size_t count = 0;
  for_each_name(root_.get(), directory, DotNames::skip, [&](const std::string& name) {
    const FileKind kind = kind_of_file(name);
    if (kind == FileKind::foreign || kind == FileKind::spool) return;
    const EntryFileNames files(directory, name);
    if (!entries.add(files.entry)) return;
    if (ownership == Ownership::own && is_foreign(joined(directory, files.entry))) return;
    if (forget_files(files)) report_progress_("deleted", ++count);
  });
  return count;
}

namespace {

/// Lists the entries and runs of a tag, each once even if they are created or removed meanwhile,
/// without holding all names in memory.
class TagListing {
 public:
  TagListing(int root, std::string directory, const std::function<void(const ListedEntry&)>& each)
      : root_(root), directory_(std::move(directory)), each_(each) {}

  void read() {
    for_each_name(root_, directory_, DotNames::skip, [&](const std::string& name) {
      const FileKind kind = kind_of_file(name);
      if (const auto disposition = disposition_in(kind)) list_file(kind, *disposition, name);
    });
  }

 private:
  /// Of the files of one entry, lists the first of these that exists: the run in progress, the
  /// entry unless it has expired, the failure, the expired entry. Also lists the mark, unless there
  /// is a run in progress.
  void list_file(FileKind kind, Disposition disposition, const std::string& name) {
    const EntryFileNames files(directory_, name);
    if (kind == FileKind::failed && has_retained_entry(files)) return;
    if (kind == FileKind::entry && record_of(files.failed) && !has_retained_entry(files)) return;
    if (kind == FileKind::run &&
        (exists(files.entry) || exists(files.failed) || exists(files.mark)))
      return;
    if (runs_.contains(files.run)) return;  // it was listed as a run, which has ended since
    if (LiveRun run = open_run(root_, files, O_RDONLY)) {
      runs_.insert(files.run);
      return list_entry(std::move(run.file), Disposition::running);
    }
    if (kind == FileKind::run) return;
    list_entry(open_owned_file(root_, joined(directory_, name), O_RDONLY), disposition);
  }

  void list_entry(OwnedFile file, Disposition disposition) {
    const auto entry = EntryFile::open(std::move(file));
    if (!entry) return;
    const bool running = disposition == Disposition::running;
    if (running || entry->record().disposition == disposition)
      each_({entry->record(), running, entry->payload_size()});
  }

  [[nodiscard]] bool has_retained_entry(const EntryFileNames& files) const {
    const auto record = record_of(files.entry);
    return record && is_retained(*record, wall_now());
  }

  /// The record in a file; nothing if there is no such file or it is damaged.
  [[nodiscard]] std::optional<Record> record_of(const std::string& name) const {
    const auto entry = EntryFile::open(open_owned_file(root_, joined(directory_, name), O_RDONLY));
    return entry ? std::optional(entry->record()) : std::nullopt;
  }

  [[nodiscard]] bool exists(const std::string& name) const {
    return faccessat(root_, joined(directory_, name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  }

  int root_;
  std::string directory_;
  const std::function<void(const ListedEntry&)>& each_;
  std::set<std::string> runs_;
};

}  // namespace

void LocalStore::list(const std::optional<std::string>& tag,
                      const std::function<void(const ListedEntry&)>& each) {
  if (!root_) return;
  size_t count = 0;
  const auto counted = [&](const ListedEntry& listing) {
    each(listing);
    report_progress_("listed", ++count);
  };
  const auto read = [&](const std::string& directory) {
    TagListing(root_.get(), directory, counted).read();
  };
  if (tag) return read(directory_of(*tag));
  for_each_name(root_.get(), ".", DotNames::skip, read);
}

}  // namespace memolock
