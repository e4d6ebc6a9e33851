#include "src/doctor/directory.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "src/entry/key.hpp"
#include "src/local/fifo.hpp"
#include "src/store/directory.hpp"
#include "src/system/anonymous_file.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/random.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

using Level = Finding::Level;

/// A folder of our own in `parent`, which goes with this, and its files with it.
class Scratch {
 public:
  explicit Scratch(int parent) : parent_(parent), name_('.' + std::string(probe_prefix)) {
    name_ += random_name();
    error_ = make_folder(parent_, name_);
    if (error_ != 0) return;
    folder_ = open_folder(parent_, name_);
    if (!folder_) error_ = errno;
  }
  ~Scratch() {
    for (const char* const file : {a, b, fifo})
      if (folder_) unlinkat(folder_.get(), file, 0);
    unlinkat(parent_, name_.c_str(), AT_REMOVEDIR);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// 0, or the errno of making it.
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] int folder() const { return folder_.get(); }
  /// Opens one of its files, making it; empty, with errno set.
  [[nodiscard]] Descriptor open_file(const char* name) const {
    return make_file(folder(), name, O_RDWR);
  }

  static constexpr const char* a = "a";
  static constexpr const char* b = "b";
  static constexpr const char* fifo = "fifo";

 private:
  int parent_;
  std::string name_;
  Descriptor folder_;
  int error_ = 0;
};

/// What is wrong with the locks of this file system; empty: nothing.
std::string fault_of_locks(const Scratch& scratch) {
  const Descriptor holder = scratch.open_file(Scratch::a);
  const Descriptor other = scratch.open_file(Scratch::a);
  if (!holder || !other) return lowercase_error_text(errno);
  if (const int error = try_lock_file(holder.get())) return lowercase_error_text(error);
  const int refused = try_lock_file(other.get());
  const bool holds = (refused == EAGAIN || refused == EACCES) && is_file_locked(other.get());
  return holds ? "" : "a lock keeps nobody out";
}

std::string fault_of_fifo(const Scratch& scratch) {
  if (const int error = make_fifo_file(scratch.folder(), Scratch::fifo))
    return lowercase_error_text(error);
  constexpr int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
  const Descriptor fifo(openat(scratch.folder(), Scratch::fifo, flags));
  return fifo ? "" : lowercase_error_text(errno);
}

/// What is tried in place of what a file system lacks.
struct Instead {
  bool does_it = false;
  std::string words;  ///< how, or why not
};

Instead fifo_elsewhere(const Scratch& scratch) {
  Descriptor fifo;
  const auto make = [&] { fifo = make_fifo(scratch.folder(), Scratch::fifo, "the store"); };
  if (auto failure = failure_of(make)) return {false, std::move(*failure)};
  remove_named_fifo(scratch.folder(), Scratch::fifo, fifo.get());
  return {true, "this file system has none; those that wake waiters are in " + fifo_directory()};
}

std::string fault_of_rename(const Scratch& scratch) {
  if (!scratch.open_file(Scratch::a) || !scratch.open_file(Scratch::b))
    return lowercase_error_text(errno);
  if (renameat(scratch.folder(), Scratch::a, scratch.folder(), Scratch::b) != 0)
    return lowercase_error_text(errno);
  return "";
}

std::string fault_of_writing(const Scratch& scratch) {
  const Descriptor file = scratch.open_file(Scratch::a);
  if (!file) return lowercase_error_text(errno);
  const int error = write_all_at(file.get(), std::string(4096, 'x'), 0);
  return error == 0 ? "" : lowercase_error_text(error);
}

std::string fault_of_nameless_files(const Scratch& scratch) {
  return anonymous_file(scratch.folder()) ? "" : lowercase_error_text(errno);
}

struct Probe {
  const char* subject;
  const char* words;  ///< when all is well
  std::string (*fault)(const Scratch&);
  const char* remedy;
  /// Tried where there is a fault; null: nothing is.
  Instead (*instead)(const Scratch&) = nullptr;
};

constexpr const char* elsewhere = "put the store on another file system, with MEMOLOCK_CACHE_DIR";

constexpr std::array<Probe, 5> probes{{
    {"writes", "files can be made and filled", fault_of_writing,
     "make room on the disk or in the quota, or see why the file system takes nothing"},
    {"locks", "held by the kernel for their holder's life", fault_of_locks, elsewhere},
    {"fifo", "waiters are woken at once", fault_of_fifo, elsewhere, fifo_elsewhere},
    {"rename", "entries are replaced in one step", fault_of_rename, elsewhere},
    {"spool", "outputs can lie in nameless files", fault_of_nameless_files, elsewhere},
}};

// The name of a file system whose files other machines may see, or that another program makes.
// From magic.h and, where that has none, from what the kernel's own modules say of themselves.
constexpr std::array<std::pair<unsigned long, const char*>, 9> shared_file_systems{{
    {NFS_SUPER_MAGIC, "NFS"},
    {SMB_SUPER_MAGIC, "SMB"},
    {SMB2_SUPER_MAGIC, "SMB"},
    {CIFS_SUPER_MAGIC, "CIFS"},
    {AFS_SUPER_MAGIC, "AFS"},
    {CEPH_SUPER_MAGIC, "Ceph"},
    {V9FS_MAGIC, "9P"},
    {FUSE_SUPER_MAGIC, "FUSE"},
    {0x0BD00BD0, "Lustre"},
}};

class DirectoryExamination {
 public:
  explicit DirectoryExamination(const std::string& directory) : directory_(directory) {}

  void run();
  [[nodiscard]] std::vector<Finding> take_findings() { return std::move(findings_); }

 private:
  void add(Level level, std::string_view subject, std::string words, std::string remedy = "") {
    findings_.push_back({level, std::string(subject), std::move(words), std::move(remedy)});
  }
  [[nodiscard]] Descriptor find();
  [[nodiscard]] Descriptor find_parent();
  [[nodiscard]] bool judge_owner(int folder);
  void judge_space(int folder);
  void judge_file_system(int folder);
  void try_out(int folder);

  const std::string& directory_;
  std::vector<Finding> findings_;
};

void DirectoryExamination::run() {
  const Descriptor folder = find();
  if (!folder) return;
  judge_space(folder.get());
  judge_file_system(folder.get());
  try_out(folder.get());
}

/// The directory, or the one in which it would be made; empty when it will not do.
Descriptor DirectoryExamination::find() {
  // What lies behind a link is the store too.
  Descriptor folder(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) {
    add(Level::ok, "directory", directory_);
    return judge_owner(folder.get()) ? std::move(folder) : Descriptor();
  }
  if (errno == ENOENT) return find_parent();
  const int error = errno;
  add(Level::fail, "directory", directory_ + ": " + lowercase_error_text(error),
      remedy_of_opening(directory_, error));
  return {};
}

Descriptor DirectoryExamination::find_parent() {
  const Place place = find_place(directory_);
  Descriptor folder;
  int error = place.error;
  if (place.folder) {
    if (faccessat(AT_FDCWD, place.path.c_str(), W_OK | X_OK, AT_EACCESS) == 0)
      folder = open_folder(AT_FDCWD, place.path);
    error = folder ? 0 : errno;
  }
  if (!place.fault.empty()) {
    add(Level::fail, "directory", fmt::format("{} cannot be made: {}", directory_, place.fault),
        place.remedy);
    return {};
  }
  if (folder) {
    add(Level::ok, "directory", directory_ + " will be made when it is needed");
    return folder;
  }
  add(Level::fail, "directory",
      fmt::format("{} cannot be made: {}: {}", directory_, place.path, lowercase_error_text(error)),
      choose_another);
  return {};
}

/// Whether it is this user's alone.
bool DirectoryExamination::judge_owner(int folder) {
  struct stat info {};
  if (fstat(folder, &info) != 0) {
    add(Level::fail, "owner", lowercase_error_text(errno), choose_another);
    return false;
  }
  if (info.st_uid != own_user()) {
    add(Level::fail, "owner", fmt::format("the directory belongs to user {}", info.st_uid),
        choose_another);
    return false;
  }
  add(Level::ok, "owner", "this user");
  const auto mode = fmt::format("{:04o}", info.st_mode & 07777U);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    add(Level::fail, "mode", mode + ", so others may write there", mode_remedy(directory_));
    return false;
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
    add(Level::ok, "mode", mode);
  } else {
    add(Level::advice, "mode", mode + ", so others may see the names of tags",
        mode_remedy(directory_));
  }
  return true;
}

void DirectoryExamination::judge_space(int folder) {
  constexpr uint64_t little = 100U << 20;
  struct statvfs info {};
  if (fstatvfs(folder, &info) != 0)
    return add(Level::advice, "space", "not told: " + lowercase_error_text(errno),
               "make sure that the disk has room");
  const uint64_t left = uint64_t{info.f_bavail} * info.f_frsize;
  const std::string words = format_size(left) + " free";
  constexpr const char* make_room = "make room, or choose another directory";
  if (info.f_files > 0 && info.f_favail == 0)
    return add(Level::advice, "space", words + ", but no inode", make_room);
  if (left < little) return add(Level::advice, "space", words, make_room);
  add(Level::ok, "space", words);
}

void DirectoryExamination::judge_file_system(int folder) {
  struct statfs info {};
  if (fstatfs(folder, &info) != 0)
    return add(Level::advice, "network", "not told: " + lowercase_error_text(errno), elsewhere);
  const auto type = static_cast<unsigned long>(info.f_type) & 0xffffffffUL;
  const auto* const found = std::find_if(shared_file_systems.begin(), shared_file_systems.end(),
                                         [&](const auto& it) { return it.first == type; });
  if (found == shared_file_systems.end())
    return add(Level::ok, "network", "a file system of this machine");
  add(Level::advice, "network",
      fmt::format("{}: other machines may see the directory, but share no runs there",
                  found->second),
      "use a directory of this machine, or a Redis server to share entries and runs");
}

/// What the store does with its files, done with others.
void DirectoryExamination::try_out(int folder) {
  const Scratch scratch(folder);
  if (scratch.error() != 0)
    return add(Level::fail, "writes",
               "no folder can be made there: " + lowercase_error_text(scratch.error()),
               choose_another);
  for (const Probe& probe : probes) {
    const std::string fault = probe.fault(scratch);
    if (fault.empty()) {
      add(Level::ok, probe.subject, probe.words);
      continue;
    }
    const Instead instead = probe.instead != nullptr ? probe.instead(scratch) : Instead{};
    if (instead.does_it) {
      add(Level::advice, probe.subject, instead.words, "have all callers use the same /tmp");
    } else {
      const std::string& why = instead.words;
      add(Level::fail, probe.subject,
          why.empty() ? fault : fmt::format("{}; in its place: {}", fault, why), probe.remedy);
    }
  }
}

}  // namespace

Examination examine_directory(const std::string& directory) {
  DirectoryExamination examination(directory);
  examination.run();
  return {examination.take_findings(), ""};
}

}  // namespace memolock
