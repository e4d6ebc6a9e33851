#include "src/local_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "src/error.hpp"
#include "src/local_entry.hpp"
#include "src/local_run.hpp"

namespace memolock {
namespace {

constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;

std::string joined(const std::string& folder, const std::string& name) {
  return folder + '/' + name;
}

/// Makes a directory and what leads to it.
void make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      throw system_error("cannot make " + part, errno);
    if (slash == std::string::npos) return;
  }
}

/// The names in a directory; none when it cannot be read.
std::vector<std::string> names_in(int folder, const std::string& name) {
  std::vector<std::string> names;
  Descriptor opened(openat(folder, name.c_str(), folder_flags));
  DIR* const directory = opened ? fdopendir(opened.get()) : nullptr;
  if (directory == nullptr) return names;
  (void)opened.release();
  while (const dirent* found = readdir(directory))  // NOLINT(concurrency-mt-unsafe)
    if (found->d_name[0] != '.') names.emplace_back(found->d_name);
  closedir(directory);
  return names;
}

}  // namespace

LocalStore::LocalStore(const std::string& directory, DirectoryLink link, const Log& log)
    : directory_(directory), log_(log) {
  const int no_link = link == DirectoryLink::refuse ? O_NOFOLLOW : 0;
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | no_link;
  root_.reset(open(directory_.c_str(), flags));
  if (!root_ && errno == ENOENT) {
    make_directories(directory_);
    root_.reset(open(directory_.c_str(), flags));
  }
  struct stat info {};
  if (!root_ || fstat(root_.get(), &info) != 0)
    throw system_error("cannot open the store " + directory_, errno);
  if (info.st_uid != geteuid())
    throw store_error("the store " + directory_ + " belongs to another user");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw store_error("others may write in the store " + directory_ + "; run: chmod go-w " +
                      directory_);
  log_.debug("the store is {}", directory_);
}

std::unique_ptr<Entry> LocalStore::look_up(const Key& key) {
  const EntryFiles files(key);
  OwnFile file = open_own(root_.get(), joined(files.folder, files.entry), O_RDONLY);
  if (!file) {
    if (errno == ENOENT) return nullptr;
    if (errno != ELOOP && errno != EPERM && errno != ENXIO && errno != EISDIR && errno != ENOTDIR)
      throw system_error("cannot open " + joined(directory_, joined(files.folder, files.entry)),
                         errno);
    log_.info("{}: what stands in the entry's place is no file of this user's; it counts as absent",
              key.shown());
    return nullptr;
  }
  auto entry = LocalEntry::open(std::move(file));
  if (entry && entry->record().fate == Fate::kept && entry->record().key == key) return entry;
  log_.info("{}: the stored entry is damaged or foreign; it counts as absent", key.shown());
  return nullptr;
}

std::unique_ptr<Lock> LocalStore::try_acquire(const Key& key) {
  EntryFiles files(key);
  std::string path = joined(directory_, files.folder);
  for (;;) {
    Descriptor folder(openat(root_.get(), files.folder.c_str(), folder_flags));
    if (folder) return try_lock(std::move(path), std::move(files), std::move(folder));
    if (errno != ENOENT) throw system_error("cannot open " + path, errno);
    if (mkdirat(root_.get(), files.folder.c_str(), 0700) != 0 && errno != EEXIST)
      throw system_error("cannot make " + path, errno);
  }
}

std::unique_ptr<Watch> LocalStore::watch(const Key& key) {
  const EntryFiles files(key);
  OwnFile file = open_own(root_.get(), joined(files.folder, files.run), O_RDONLY);
  return file ? watch_run(std::move(file), key) : nullptr;
}

bool LocalStore::is_locked(const Key& key) {
  const EntryFiles files(key);
  const OwnFile lock = open_own(root_.get(), joined(files.folder, files.lock), O_RDONLY);
  return lock && is_held(lock.get());
}

bool LocalStore::knows(const Key& key) {
  if (look_up(key)) return true;
  const auto run = watch(key);
  return run && !run->forgotten();
}

bool LocalStore::forget(const Key& key) { return forget_files(EntryFiles(key)); }

bool LocalStore::forget_files(const EntryFiles& files) {
  bool found = false;
  const OwnFile run = open_own(root_.get(), joined(files.folder, files.run), O_RDWR);
  if (run && is_held(run.get())) {
    if (const int error = write_all_at(run.get(), "\1", forgotten_offset))
      throw system_error("cannot mark " + joined(directory_, joined(files.folder, files.run)),
                         error);
    found = true;
  }
  const std::string entry = joined(files.folder, files.entry);
  if (unlinkat(root_.get(), entry.c_str(), 0) == 0) {
    found = true;
  } else if (errno != ENOENT && errno != ENOTDIR) {
    throw system_error("cannot remove " + joined(directory_, entry), errno);
  }
  const Descriptor folder(openat(root_.get(), files.folder.c_str(), folder_flags));
  if (folder) clear_dead(joined(directory_, files.folder), files, folder.get());
  return found;
}

/// Whether there is something under an entry's name that memolock has not written.
bool LocalStore::is_foreign(const std::string& path) const {
  const OwnFile file = open_own(root_.get(), path, O_RDONLY);
  return file ? !LocalEntry::is_one(file.get()) : errno != ENOENT;
}

size_t LocalStore::forget_all(const std::string& tag) {
  const std::string folder = EntryFiles(Key{tag, "any"}).folder;
  std::set<std::string> entries;  // one name for each, whatever else there is of it
  for (const std::string& name : names_in(root_.get(), folder)) {
    const FileKind kind = kind_of_file(name);
    if (kind != FileKind::foreign && kind != FileKind::control)
      entries.insert(EntryFiles(folder, name).entry);
  }
  size_t count = 0;
  for (const std::string& entry : entries)
    if (!is_foreign(joined(folder, entry)) && forget_files({folder, entry})) ++count;
  return count;
}

void LocalStore::list(const std::optional<std::string>& tag,
                      const std::function<void(const Listing&)>& each) {
  const auto folders = tag ? std::vector{EntryFiles(Key{*tag, "any"}).folder}
                           : names_in(root_.get(), ".");
  for (const std::string& folder : folders) {
    std::vector<std::string> names = names_in(root_.get(), folder);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const FileKind kind = kind_of_file(name);
      if (kind != FileKind::entry && kind != FileKind::run) continue;
      OwnFile file = open_own(root_.get(), joined(folder, name), O_RDONLY);
      const bool running = file && kind == FileKind::run && is_held(file.get());
      if (!file || (kind == FileKind::run && !running)) continue;
      // Of an entry that is being made anew the run alone is shown.
      const std::string run_name = EntryFiles(folder, name).run;
      if (kind == FileKind::entry && std::binary_search(names.begin(), names.end(), run_name)) {
        const OwnFile run = open_own(root_.get(), joined(folder, run_name), O_RDONLY);
        if (run && is_held(run.get())) continue;
      }
      const auto entry = LocalEntry::open(std::move(file));
      if (!entry || (!running && entry->record().fate != Fate::kept)) continue;
      each({entry->record(), running, entry->payload_size()});
    }
  }
}

}  // namespace memolock
