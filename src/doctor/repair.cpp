#include "src/doctor/repair.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/entry/key.hpp"
#include "src/store/directory.hpp"
#include "src/store/file_names.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

using Severity = Finding::Severity;

constexpr mode_t mode_of_directories = S_IRWXU;
constexpr mode_t mode_of_files = S_IRUSR | S_IWUSR;
constexpr mode_t permissions = S_IRWXU | S_IRWXG | S_IRWXO;

/// A file or directory of this user, opened with O_PATH, which needs no permission.
struct OwnedPath {
  Descriptor descriptor;
  struct stat info {};

  explicit operator bool() const { return static_cast<bool>(descriptor); }
  [[nodiscard]] bool is_directory() const { return S_ISDIR(info.st_mode); }
  /// Excludes a file with several names, because another user may have created one of them.
  [[nodiscard]] bool is_file() const {
    return (S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode)) && info.st_nlink == 1;
  }
};

/// Empty on failure, and if the file belongs to another user.
OwnedPath open_owned_path(int parent, const std::string& name, int follow) {
  OwnedPath own;
  own.descriptor.reset(openat(parent, name.c_str(), O_PATH | O_CLOEXEC | follow));
  if (!own.descriptor || fstat(own.descriptor.get(), &own.info) != 0 ||
      own.info.st_uid != user_at_start())
    own.descriptor.reset();
  return own;
}

/// Returns 0 or an errno.
int change_mode(const OwnedPath& own, mode_t mode) {
  // Before Linux 6.6, no system call changes the mode through an O_PATH descriptor.
  const std::string path = fmt::format("/proc/self/fd/{}", own.descriptor.get());
  return chmod(path.c_str(), mode & ~mode_t{S_IFMT}) == 0 ? 0 : errno;
}

/// Whether the file system itself creates this name: for a file on NFS that was removed while it
/// was open, or for the lost+found directory of fsck.
bool is_of_file_system(std::string_view name) {
  return name.starts_with(".nfs") || name == "lost+found";
}

/// Whether a directory of this name can only be part of a store.
bool is_known_directory(std::string_view name) {
  return name == counters_directory || name == clusters_directory ||
         name.starts_with('.' + std::string(probe_prefix));
}

/// Examines whether everything that a directory contains is part of a store.
class ContentCheck {
 public:
  explicit ContentCheck(const OwnedPath& root) {
    for_each_name(root.descriptor.get(), ".", DotNames::show,
                  [&](const std::string& name) { examine(root.descriptor.get(), name); });
  }

  /// Why the directory is not a store, worded to follow its name; empty if it is a store.
  [[nodiscard]] std::string fault() const {
    if (!foreign_.empty()) return "contains " + foreign_ + ", which does not belong to memolock";
    if (!proof_.empty() || doubtful_.empty()) return "";
    return "contains " + doubtful_ + ", but nothing that identifies it as a store";
  }

 private:
  void examine(int root, const std::string& name) {
    if (!foreign_.empty() || is_of_file_system(name)) return;
    const OwnedPath own = open_owned_path(root, name, O_NOFOLLOW);
    if (own && own.is_directory() && !is_known_directory(name) && name.front() != '.')
      return examine_directory(own, name);
    if (own &&
        (is_known_directory(name) ? own.is_directory() : name == gc_stamp && own.is_file())) {
      proof_ = name;
    } else {
      foreign_ = name;
    }
  }

  /// The directory may be that of a tag. If it contains no entry, something else must prove that
  /// this is a store.
  void examine_directory(const OwnedPath& directory, const std::string& name) {
    // Its names cannot be read without these permissions.
    const mode_t readable = directory.info.st_mode | mode_of_directories;
    if (readable != directory.info.st_mode) (void)change_mode(directory, readable);
    bool has_entry = false;
    for_each_name(directory.descriptor.get(), ".", DotNames::show, [&](const std::string& file) {
      if (is_of_file_system(file)) return;
      const FileKind kind = kind_of_file(file);
      if (kind == FileKind::foreign && foreign_.empty()) foreign_ = name + '/' + file;
      // Other programs also use the endings of the other kinds.
      has_entry = has_entry || kind == FileKind::entry || kind == FileKind::failed ||
                  kind == FileKind::mark;
    });
    (has_entry ? proof_ : doubtful_) = name;
    if (readable != directory.info.st_mode) (void)change_mode(directory, directory.info.st_mode);
  }

  std::string foreign_;   // the first name that is not part of a store
  std::string doubtful_;  // a directory without an entry
  std::string proof_;     // a name that only a store contains
};

class Repair {
 public:
  explicit Repair(const std::string& directory) : directory_(directory) {}

  void run() {
    const int follow = may_follow(directory_) ? 0 : O_NOFOLLOW;
    const OwnedPath root = open_owned_path(AT_FDCWD, directory_, follow);
    if (!root || !root.is_directory())  // the examination reports why
      return add(Severity::ok, "nothing: this user has no store");
    std::string fault = why_not_repairable(root.info);
    if (fault.empty()) {
      // Its names cannot be read without these permissions.
      const mode_t readable = root.info.st_mode | mode_of_directories;
      const bool was_opened = readable != root.info.st_mode && change_mode(root, readable) == 0;
      fault = ContentCheck(root).fault();
      if (was_opened && !fault.empty()) (void)change_mode(root, root.info.st_mode);
    }
    if (!fault.empty())
      return add(Severity::fail, fmt::format("{} {}; its modes are not changed", directory_, fault),
                 choose_another_directory);
    set_mode(root, mode_of_directories, directory_);
    for_each_name(root.descriptor.get(), ".", DotNames::show,
                  [&](const std::string& name) { repair(root.descriptor.get(), name); });
  }

  [[nodiscard]] std::vector<Finding> take_findings() {
    constexpr size_t most_lines = 10;
    if (directories_ + files_ > most_lines) {
      findings_.clear();
      add(Severity::ok, fmt::format("modes of {} directories and {} files", directories_, files_));
    } else if (findings_.empty() && failures_.empty()) {
      add(Severity::ok, "nothing: all modes are correct");
    }
    for (Finding& failure : failures_) findings_.push_back(std::move(failure));
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string text, std::string remedy = "") {
    auto& all = severity == Severity::ok ? findings_ : failures_;
    all.push_back({severity, "repaired", std::move(text), std::move(remedy)});
  }

  void repair(int root, const std::string& name) {
    const std::string path = directory_ + '/' + name;
    const OwnedPath own = open_owned_path(root, name, O_NOFOLLOW);
    if (!own) return;
    if (name == gc_stamp && own.is_file()) return set_mode(own, mode_of_files, path);
    if (own.is_directory() && !is_of_file_system(name)) repair_directory(own, path);
  }

  void repair_directory(const OwnedPath& directory, const std::string& path) {
    set_mode(directory, mode_of_directories, path);
    for_each_name(directory.descriptor.get(), ".", DotNames::show, [&](const std::string& name) {
      const OwnedPath own = open_owned_path(directory.descriptor.get(), name, O_NOFOLLOW);
      if (own && own.is_file()) set_mode(own, mode_of_files, path + '/' + name);
    });
  }

  void set_mode(const OwnedPath& own, mode_t mode, const std::string& path) {
    const mode_t before = own.info.st_mode & permissions;
    if (before == mode) return;
    if (const int error = change_mode(own, mode))
      return add(Severity::fail,
                 fmt::format("cannot change the mode of {}: {}", path, lowercase_error_text(error)),
                 choose_another_directory);
    struct stat now {};
    // On some file systems, chmod succeeds but does not change the mode.
    if (fstat(own.descriptor.get(), &now) != 0 || (now.st_mode & permissions) != mode)
      return add(Severity::fail,
                 fmt::format("cannot change the mode of {}: the file system keeps {:04o}", path,
                             now.st_mode & permissions),
                 choose_another_directory);
    ++(own.is_directory() ? directories_ : files_);
    add(Severity::ok, fmt::format("{}: mode {:04o}, was {:04o}", path, mode, before));
  }

  const std::string& directory_;
  std::vector<Finding> findings_;
  std::vector<Finding> failures_;
  size_t directories_ = 0;
  size_t files_ = 0;
};

}  // namespace

std::vector<Finding> repair_modes(const std::string& directory) {
  Repair repair(directory);
  repair.run();
  return repair.take_findings();
}

}  // namespace memolock
