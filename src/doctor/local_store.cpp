#include "src/doctor/local_store.hpp"

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

using Severity = Finding::Severity;

/// A new directory in `parent`. The destructor removes it with its files.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(int parent) : parent_(parent), name_('.' + std::string(probe_prefix)) {
    name_ += random_name();
    error_ = make_directory(parent_, name_);
    if (error_ != 0) return;
    directory_ = open_directory(parent_, name_);
    if (!directory_) error_ = errno;
  }
  ~ScratchDirectory() {
    for (const char* const file : {a, b, fifo})
      if (directory_) unlinkat(directory_.get(), file, 0);
    unlinkat(parent_, name_.c_str(), AT_REMOVEDIR);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  /// The errno if it could not be created; 0 otherwise.
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] int descriptor() const { return directory_.get(); }
  /// Opens a file in it, and creates the file if it is missing. Empty, with errno set, on failure.
  [[nodiscard]] Descriptor open_file(const char* name) const {
    return make_file(descriptor(), name, O_RDWR);
  }

  static constexpr const char* a = "a";
  static constexpr const char* b = "b";
  static constexpr const char* fifo = "fifo";

 private:
  int parent_;
  std::string name_;
  Descriptor directory_;
  int error_ = 0;
};

/// Why locks do not work on this file system; empty if they work.
std::string fault_of_locks(const ScratchDirectory& scratch) {
  const Descriptor holder = scratch.open_file(ScratchDirectory::a);
  const Descriptor other = scratch.open_file(ScratchDirectory::a);
  if (!holder || !other) return lowercase_error_text(errno);
  if (const int error = try_lock_file(holder.get())) return lowercase_error_text(error);
  const int refused = try_lock_file(other.get());
  const bool holds = (refused == EAGAIN || refused == EACCES) && is_file_locked(other.get());
  return holds ? "" : "a locked file can be locked again";
}

std::string fault_of_fifo(const ScratchDirectory& scratch) {
  if (const int error = make_fifo_file(scratch.descriptor(), ScratchDirectory::fifo))
    return lowercase_error_text(error);
  constexpr int flags = O_RDWR | O_NONBLOCK | O_CLOEXEC;
  const Descriptor fifo(openat(scratch.descriptor(), ScratchDirectory::fifo, flags));
  return fifo ? "" : lowercase_error_text(errno);
}

/// A substitute that the store uses for a feature that the file system lacks.
struct Substitute {
  bool works = false;
  std::string description;  ///< the substitute, or why it does not work
};

Substitute try_substitute_fifo(const ScratchDirectory& scratch) {
  Descriptor fifo;
  const auto make = [&] {
    fifo = make_fifo(scratch.descriptor(), ScratchDirectory::fifo, "the store");
  };
  if (auto failure = failure_of(make)) return {false, std::move(*failure)};
  remove_if_same_fifo(scratch.descriptor(), ScratchDirectory::fifo, fifo.get());
  return {true,
          "this file system does not support FIFOs; memolock creates them in " + fifo_directory()};
}

std::string fault_of_rename(const ScratchDirectory& scratch) {
  if (!scratch.open_file(ScratchDirectory::a) || !scratch.open_file(ScratchDirectory::b))
    return lowercase_error_text(errno);
  if (renameat(scratch.descriptor(), ScratchDirectory::a, scratch.descriptor(),
               ScratchDirectory::b) != 0)
    return lowercase_error_text(errno);
  return "";
}

std::string fault_of_writing(const ScratchDirectory& scratch) {
  const Descriptor file = scratch.open_file(ScratchDirectory::a);
  if (!file) return lowercase_error_text(errno);
  const int error = write_all_at(file.get(), std::string(4096, 'x'), 0);
  return error == 0 ? "" : lowercase_error_text(error);
}

std::string fault_of_anonymous_files(const ScratchDirectory& scratch) {
  return anonymous_file(scratch.descriptor()) ? "" : lowercase_error_text(errno);
}

struct Probe {
  const char* subject;
  const char* description;  ///< if there is no fault
  std::string (*fault)(const ScratchDirectory&);
  const char* remedy;
  /// Tried if there is a fault; null: there is no substitute.
  Substitute (*try_substitute)(const ScratchDirectory&) = nullptr;
};

constexpr const char* elsewhere = "move the store to another file system with MEMOLOCK_CACHE_DIR";

constexpr std::array<Probe, 5> probes{{
    {"writes", "files can be created and written", fault_of_writing,
     "free space on the disk or in the quota, or check why the file system refuses writes"},
    {"locks", "the kernel releases a lock when its holder exits", fault_of_locks, elsewhere},
    {"fifo", "waiters are woken immediately", fault_of_fifo, elsewhere, try_substitute_fifo},
    {"rename", "entries are replaced atomically", fault_of_rename, elsewhere},
    {"spool", "unnamed temporary files are supported", fault_of_anonymous_files, elsewhere},
}};

// File systems that other machines may share, or that another program provides. The numbers are
// from magic.h or, if that has none, from the kernel module.
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
  void add(Severity severity, std::string_view subject, std::string text, std::string remedy = "") {
    findings_.push_back({severity, std::string(subject), std::move(text), std::move(remedy)});
  }
  [[nodiscard]] Descriptor find();
  [[nodiscard]] Descriptor find_parent();
  [[nodiscard]] bool examine_owner(int directory);
  void examine_space(int directory);
  void examine_file_system(int directory);
  void run_probes(int directory);

  const std::string& directory_;
  std::vector<Finding> findings_;
};

void DirectoryExamination::run() {
  const Descriptor directory = find();
  if (!directory) return;
  examine_space(directory.get());
  examine_file_system(directory.get());
  run_probes(directory.get());
}

/// Opens the directory or, if it is missing, the one in which it would be created; empty if that
/// cannot be used.
Descriptor DirectoryExamination::find() {
  // A symbolic link to the store is followed.
  Descriptor directory(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) {
    add(Severity::ok, "directory", directory_);
    return examine_owner(directory.get()) ? std::move(directory) : Descriptor();
  }
  if (errno == ENOENT) return find_parent();
  const int error = errno;
  add(Severity::fail, "directory", directory_ + ": " + lowercase_error_text(error),
      advice_after_open_error(directory_, error));
  return {};
}

Descriptor DirectoryExamination::find_parent() {
  const NearestParent parent = find_nearest_parent(directory_);
  Descriptor directory;
  int error = parent.error;
  if (parent.directory) {
    if (faccessat(AT_FDCWD, parent.path.c_str(), W_OK | X_OK, AT_EACCESS) == 0)
      directory = open_directory(AT_FDCWD, parent.path);
    error = directory ? 0 : errno;
  }
  if (!parent.why_unusable.empty()) {
    add(Severity::fail, "directory",
        fmt::format("cannot create {}: {}", directory_, parent.why_unusable), parent.advice);
    return {};
  }
  if (directory) {
    add(Severity::ok, "directory", directory_ + " will be created when needed");
    return directory;
  }
  add(Severity::fail, "directory",
      fmt::format("cannot create {}: {}: {}", directory_, parent.path, lowercase_error_text(error)),
      choose_another_directory);
  return {};
}

/// Whether `directory` belongs to this user and is not writable by others.
bool DirectoryExamination::examine_owner(int directory) {
  struct stat info {};
  if (fstat(directory, &info) != 0) {
    add(Severity::fail, "owner", lowercase_error_text(errno), choose_another_directory);
    return false;
  }
  if (info.st_uid != user_at_start()) {
    add(Severity::fail, "owner", fmt::format("the directory belongs to user {}", info.st_uid),
        choose_another_directory);
    return false;
  }
  add(Severity::ok, "owner", "this user");
  const auto mode = fmt::format("{:04o}", info.st_mode & 07777U);
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    add(Severity::fail, "mode", mode + ": other users can write to the store",
        advice_to_repair_modes(directory_));
    return false;
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
    add(Severity::ok, "mode", mode);
  } else {
    add(Severity::advice, "mode", mode + ": other users can see the names of tags",
        advice_to_repair_modes(directory_));
  }
  return true;
}

void DirectoryExamination::examine_space(int directory) {
  constexpr uint64_t little = 100U << 20;
  struct statvfs info {};
  if (fstatvfs(directory, &info) != 0)
    return add(Severity::advice, "space", "unknown: " + lowercase_error_text(errno),
               "make sure that the disk has free space");
  const uint64_t left = uint64_t{info.f_bavail} * info.f_frsize;
  const std::string text = format_size(left) + " free";
  constexpr const char* make_room = "delete files, or choose another directory";
  if (info.f_files > 0 && info.f_favail == 0)
    return add(Severity::advice, "space", text + ", but no free inodes", make_room);
  if (left < little) return add(Severity::advice, "space", text, make_room);
  add(Severity::ok, "space", text);
}

void DirectoryExamination::examine_file_system(int directory) {
  struct statfs info {};
  if (fstatfs(directory, &info) != 0)
    return add(Severity::advice, "network", "unknown: " + lowercase_error_text(errno), elsewhere);
  const auto type = static_cast<unsigned long>(info.f_type) & 0xffffffffUL;
  const auto* const found = std::find_if(shared_file_systems.begin(), shared_file_systems.end(),
                                         [&](const auto& it) { return it.first == type; });
  if (found == shared_file_systems.end())
    return add(Severity::ok, "network", "a local file system");
  add(Severity::advice, "network",
      fmt::format("{}: other machines can access the directory, but cannot share its runs",
                  found->second),
      "use a local file system, or a Redis server to share entries and runs");
}

/// Performs the operations of the store on scratch files.
void DirectoryExamination::run_probes(int directory) {
  const ScratchDirectory scratch(directory);
  if (scratch.error() != 0)
    return add(Severity::fail, "writes",
               "cannot create a directory: " + lowercase_error_text(scratch.error()),
               choose_another_directory);
  for (const Probe& probe : probes) {
    const std::string fault = probe.fault(scratch);
    if (fault.empty()) {
      add(Severity::ok, probe.subject, probe.description);
      continue;
    }
    const Substitute substitute = probe.try_substitute != nullptr ? probe.try_substitute(scratch)
                                                                  : Substitute{};
    if (substitute.works) {
      add(Severity::advice, probe.subject, substitute.description,
          "make sure that all callers use the same /tmp");
    } else {
      const std::string& why = substitute.description;
      add(Severity::fail, probe.subject,
          why.empty() ? fault : fmt::format("{}; the substitute failed: {}", fault, why),
          probe.remedy);
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
