#include "src/local/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "src/local/lock.hpp"
#include "src/local/promise.hpp"
#include "src/local/watch.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/store/seen_keys.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"

namespace memolock {
namespace {

std::string joined(const std::string& folder, const std::string& name) {
  return folder + '/' + name;
}

}  // namespace

LocalStore::LocalStore(const std::string& directory, DirectoryLink link, const Log& log)
    : directory_(directory), link_(link), once_(log) {
  open_root(Missing::leave);
  log.debug("the store is {}", directory_);
}

void LocalStore::open_root(Missing missing) {
  const auto open = missing == Missing::make ? make_store_directory : open_store_directory;
  // Where anybody may make names, whoever has the folder around it could exchange it.
  if (link_ == DirectoryLink::refuse && !open(directory_.substr(0, directory_.rfind('/')), link_))
    return;
  root_ = open(directory_, link_);
}

std::unique_ptr<Entry> LocalStore::look_up(const Key& key) {
  const EntryFileNames files(key);
  return open_kept(key, files, files.entry, Disposition::kept);
}

std::unique_ptr<Entry> LocalStore::failure(const Key& key) {
  const EntryFileNames files(key);
  return open_kept(key, files, files.failed, Disposition::failed);
}

std::optional<Record> LocalStore::mark(const Key& key) {
  const EntryFileNames files(key);
  const auto entry = open_kept(key, files, files.mark, Disposition::marked);
  return entry ? std::optional(entry->record()) : std::nullopt;
}

/// Null when it is not there, damaged or foreign.
std::unique_ptr<Entry> LocalStore::open_kept(const Key& key, const EntryFileNames& files,
                                             const std::string& name, Disposition disposition) {
  if (!root_) return nullptr;
  OwnedFile file = open_owned(root_.get(), joined(files.folder, name), O_RDONLY);
  if (!file) {
    if (errno == ENOENT) return nullptr;
    if (errno != ELOOP && errno != EPERM && errno != ENXIO && errno != EISDIR && errno != ENOTDIR)
      throw system_error("cannot open " + joined(directory_, joined(files.folder, name)), errno);
    once_.info("{}: {} is no file of this user's; it counts as absent", key.shown(),
               describe_disposition(disposition));
    return nullptr;
  }
  auto entry = EntryFile::open(std::move(file));
  if (entry && entry->record().disposition == disposition && entry->record().key == key)
    return entry;
  once_.info("{}: {} is damaged or foreign; it counts as absent", key.shown(),
             describe_disposition(disposition));
  return nullptr;
}

std::unique_ptr<Lock> LocalStore::try_acquire(const Key& key, Producer) {
  const EntryFileNames files(key);
  const std::string path = joined(directory_, files.folder);
  if (!root_) open_root(Missing::make);
  for (;;) {
    if (Descriptor folder = open_folder(root_.get(), files.folder)) {
      if (auto taken = try_lock(path, files, std::move(folder))) return std::move(*taken);
      continue;  // `gc` has removed the empty folder between the two calls
    }
    if (errno != ENOENT) throw system_error("cannot open " + path, errno);
    const int error = make_folder(root_.get(), files.folder);
    if (error == 0 || error == EEXIST) continue;
    if (error != ENOENT) throw system_error("cannot make " + path, error);
    open_root(Missing::make);  // somebody has removed it, `gc` one in which nothing lasts
  }
}

std::unique_ptr<Watch> LocalStore::watch(const Key& key) {
  if (!root_) return nullptr;
  return watch_run(root_.get(), key, ended_, [this, key] { return look_up(key); });
}

std::unique_ptr<Promise> LocalStore::promise(const Key& key, const std::string& token) {
  if (!root_ && !token.empty()) return nullptr;
  if (!root_) open_root(Missing::make);
  return local_promise(directory_, root_.get(), key, token);
}

bool LocalStore::is_locked(const Key& key) {
  if (!root_) return false;
  const EntryFileNames files(key);
  const OwnedFile lock = open_owned(root_.get(), joined(files.folder, files.lock), O_RDONLY);
  return lock && is_file_locked(lock.get());
}

bool LocalStore::exists(const Key& key) {
  if (look_up(key) || failure(key) || mark(key)) return true;
  const auto run = watch(key);
  return run && !run->forgotten();
}

bool LocalStore::forget(const Key& key) { return forget_files(EntryFileNames(key)); }

bool LocalStore::forget_files(const EntryFileNames& files) {
  if (!root_) return false;
  const Descriptor folder = open_folder(root_.get(), files.folder);
  if (!folder) {
    if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) return false;
    throw system_error("cannot open " + joined(directory_, files.folder), errno);
  }
  bool found = false;
  if (const LiveRun run = open_run(root_.get(), files, O_RDWR)) {
    if (const int error = write_all_at(run.file.get(), "\1", forgotten_offset))
      throw system_error("cannot mark " + joined(directory_, joined(files.folder, files.run)),
                         error);
    found = true;
  }
  for (const std::string& name : {files.entry, files.failed, files.mark}) {
    if (unlinkat(folder.get(), name.c_str(), 0) == 0) {
      found = true;
    } else if (errno != ENOENT) {
      throw system_error("cannot remove " + joined(directory_, joined(files.folder, name)), errno);
    }
  }
  remove_dead_run(joined(directory_, files.folder), files, folder.get());
  return found;
}

/// Whether there is something under an entry's name that memolock has not written.
bool LocalStore::is_foreign(const std::string& path) const {
  const OwnedFile file = open_owned(root_.get(), path, O_RDONLY);
  return file ? !EntryFile::is_one(file.get()) : errno != ENOENT;
}

size_t LocalStore::forget_all(const std::string& tag, Ownership ownership) {
  if (!root_) return 0;
  const std::string folder = EntryFileNames(Key{tag, "any"}).folder;
  SeenNames entries;  // one name for each, whatever else there is of it
  size_t count = 0;
  each_name(root_.get(), folder, Hidden::skip, [&](const std::string& name) {
    const FileKind kind = kind_of_file(name);
    if (kind == FileKind::foreign || kind == FileKind::spool) return;
    const EntryFileNames files(folder, name);
    if (!entries.add(files.entry)) return;
    if (ownership == Ownership::own && is_foreign(joined(folder, files.entry))) return;
    if (forget_files(files)) say_progress_("forgotten", ++count);
  });
  return count;
}

namespace {

/// Lists the entries and runs of a tag, each once, though they come and go meanwhile, and without
/// having all names at hand.
class FolderListing {
 public:
  FolderListing(int root, std::string folder, const std::function<void(const Listing&)>& each)
      : root_(root), folder_(std::move(folder)), each_(each) {}

  void read() {
    each_name(root_, folder_, Hidden::skip, [&](const std::string& name) {
      const FileKind kind = kind_of_file(name);
      if (const auto disposition = disposition_in(kind)) consider(kind, *disposition, name);
    });
  }

 private:
  /// Of the files of one entry the first that is there stands for all: the entry, the failure, the
  /// run; and the mark for itself, and for the run.
  void consider(FileKind kind, Disposition disposition, const std::string& name) {
    const EntryFileNames files(folder_, name);
    if (kind == FileKind::failed && has(files.entry)) return;
    if (kind == FileKind::run && (has(files.entry) || has(files.failed) || has(files.mark))) return;
    if (runs_.contains(files.run)) return;  // it was shown as a run, which has ended since
    if (LiveRun run = open_run(root_, files, O_RDONLY)) {
      runs_.insert(files.run);
      return show(std::move(run.file), Disposition::running);
    }
    if (kind == FileKind::run) return;
    show(open_owned(root_, joined(folder_, name), O_RDONLY), disposition);
  }

  void show(OwnedFile file, Disposition disposition) {
    const auto entry = EntryFile::open(std::move(file));
    if (!entry) return;
    const bool running = disposition == Disposition::running;
    if (running || entry->record().disposition == disposition)
      each_({entry->record(), running, entry->payload_size()});
  }

  [[nodiscard]] bool has(const std::string& name) const {
    return faccessat(root_, joined(folder_, name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  }

  int root_;
  std::string folder_;
  const std::function<void(const Listing&)>& each_;
  std::set<std::string> runs_;
};

}  // namespace

void LocalStore::list(const std::optional<std::string>& tag,
                      const std::function<void(const Listing&)>& each) {
  if (!root_) return;
  size_t count = 0;
  const auto counted = [&](const Listing& listing) {
    each(listing);
    say_progress_("listed", ++count);
  };
  const auto read = [&](const std::string& folder) {
    FolderListing(root_.get(), folder, counted).read();
  };
  if (tag) return read(EntryFileNames(Key{*tag, "any"}).folder);
  each_name(root_.get(), ".", Hidden::skip, read);
}

}  // namespace memolock
