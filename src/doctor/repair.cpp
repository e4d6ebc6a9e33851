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

using Level = Finding::Level;

constexpr mode_t mode_of_folders = S_IRWXU;
constexpr mode_t mode_of_files = S_IRUSR | S_IWUSR;
constexpr mode_t permissions = S_IRWXU | S_IRWXG | S_IRWXO;

/// Something of this user's, opened without a right to it (O_PATH), and not through a link.
struct Own {
  Descriptor place;
  struct stat info {};

  explicit operator bool() const { return static_cast<bool>(place); }
  [[nodiscard]] bool is_folder() const { return S_ISDIR(info.st_mode); }
  /// A second name may lie elsewhere, and be another's doing.
  [[nodiscard]] bool is_file() const {
    return (S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode)) && info.st_nlink == 1;
  }
};

Own open_own_thing(int folder, const std::string& name, int follow) {
  Own own;
  own.place.reset(openat(folder, name.c_str(), O_PATH | O_CLOEXEC | follow));
  if (!own.place || fstat(own.place.get(), &own.info) != 0 || own.info.st_uid != own_user())
    own.place.reset();
  return own;
}

/// Returns 0 or an errno.
int change_mode(const Own& own, mode_t mode) {
  // No call takes a descriptor without a right to the file, before Linux 6.6.
  const std::string path = fmt::format("/proc/self/fd/{}", own.place.get());
  return chmod(path.c_str(), mode & ~mode_t{S_IFMT}) == 0 ? 0 : errno;
}

/// Whether a file system gives this name itself: to a file of NFS that was removed while it was
/// open, or to the folder of what was found when the file system was checked.
bool is_of_system(std::string_view name) {
  return name.starts_with(".nfs") || name == "lost+found";
}

/// Whether it is a folder of a store's whose name no other program would give.
bool is_known_folder(std::string_view name) {
  return name == counters_folder || name == clusters_folder ||
         name.starts_with('.' + std::string(probe_prefix));
}

/// What a directory holds, and whether that is a store's and nothing else.
class Contents {
 public:
  explicit Contents(const Own& root) {
    each_name(root.place.get(), ".", Hidden::show,
              [&](const std::string& name) { judge(root.place.get(), name); });
  }

  /// What is no store's, in words that follow the directory's name; empty: nothing.
  [[nodiscard]] std::string fault() const {
    if (!foreign_.empty()) return "holds " + foreign_ + ", which is not memolock's";
    if (!mark_.empty() || doubtful_.empty()) return "";
    return "holds " + doubtful_ + ", and nothing that only memolock has";
  }

 private:
  void judge(int root, const std::string& name) {
    if (!foreign_.empty() || is_of_system(name)) return;
    const Own own = open_own_thing(root, name, O_NOFOLLOW);
    if (own && own.is_folder() && !is_known_folder(name) && name.front() != '.')
      return judge_folder(own, name);
    if (own && (is_known_folder(name) ? own.is_folder() : name == gc_stamp && own.is_file())) {
      mark_ = name;
    } else {
      foreign_ = name;
    }
  }

  /// One that may be a tag's. Without an entry it is that only beside what is memolock's.
  void judge_folder(const Own& folder, const std::string& name) {
    // Its names cannot be read without these.
    const mode_t readable = folder.info.st_mode | mode_of_folders;
    if (readable != folder.info.st_mode) (void)change_mode(folder, readable);
    bool has_entry = false;
    each_name(folder.place.get(), ".", Hidden::show, [&](const std::string& file) {
      if (is_of_system(file)) return;
      const FileKind kind = kind_of_file(file);
      if (kind == FileKind::foreign && foreign_.empty()) foreign_ = name + '/' + file;
      // The other endings are those of other programs' files too.
      has_entry = has_entry || kind == FileKind::entry || kind == FileKind::failed ||
                  kind == FileKind::mark;
    });
    (has_entry ? mark_ : doubtful_) = name;
    if (readable != folder.info.st_mode) (void)change_mode(folder, folder.info.st_mode);
  }

  std::string foreign_;   // the first name of another program's
  std::string doubtful_;  // a folder without an entry
  std::string mark_;      // what only a store has
};

class Repair {
 public:
  explicit Repair(const std::string& directory) : directory_(directory) {}

  void run() {
    const int follow = may_follow(directory_) ? 0 : O_NOFOLLOW;
    const Own root = open_own_thing(AT_FDCWD, directory_, follow);
    if (!root || !root.is_folder())  // why, the examination tells
      return add(Level::ok, "nothing: there is no store of this user's");
    std::string fault = fault_of_repair(root.info);
    if (fault.empty()) {
      // Its names cannot be read without these.
      const mode_t readable = root.info.st_mode | mode_of_folders;
      const bool was_opened = readable != root.info.st_mode && change_mode(root, readable) == 0;
      fault = Contents(root).fault();
      if (was_opened && !fault.empty()) (void)change_mode(root, root.info.st_mode);
    }
    if (!fault.empty())
      return add(Level::fail, fmt::format("{} {}, and is left alone", directory_, fault),
                 choose_another);
    set_mode(root, mode_of_folders, directory_);
    each_name(root.place.get(), ".", Hidden::show,
              [&](const std::string& name) { repair(root.place.get(), name); });
  }

  [[nodiscard]] std::vector<Finding> take_findings() {
    constexpr size_t most_lines = 10;
    if (folders_ + files_ > most_lines) {
      findings_.clear();
      add(Level::ok, fmt::format("modes of {} folders and {} files", folders_, files_));
    } else if (findings_.empty() && failures_.empty()) {
      add(Level::ok, "nothing: no mode was wrong");
    }
    for (Finding& failure : failures_) findings_.push_back(std::move(failure));
    return std::move(findings_);
  }

 private:
  void add(Level level, std::string words, std::string remedy = "") {
    auto& all = level == Level::ok ? findings_ : failures_;
    all.push_back({level, "repaired", std::move(words), std::move(remedy)});
  }

  void repair(int root, const std::string& name) {
    const std::string path = directory_ + '/' + name;
    const Own own = open_own_thing(root, name, O_NOFOLLOW);
    if (!own) return;
    if (name == gc_stamp && own.is_file()) return set_mode(own, mode_of_files, path);
    if (own.is_folder() && !is_of_system(name)) repair_folder(own, path);
  }

  void repair_folder(const Own& folder, const std::string& path) {
    set_mode(folder, mode_of_folders, path);
    each_name(folder.place.get(), ".", Hidden::show, [&](const std::string& name) {
      const Own own = open_own_thing(folder.place.get(), name, O_NOFOLLOW);
      if (own && own.is_file()) set_mode(own, mode_of_files, path + '/' + name);
    });
  }

  void set_mode(const Own& own, mode_t mode, const std::string& path) {
    const mode_t before = own.info.st_mode & permissions;
    if (before == mode) return;
    if (const int error = change_mode(own, mode))
      return add(Level::fail, fmt::format("not {}: {}", path, lowercase_error_text(error)),
                 choose_another);
    struct stat now {};
    // Some file systems take another mode, and keep the one there was.
    if (fstat(own.place.get(), &now) != 0 || (now.st_mode & permissions) != mode)
      return add(
          Level::fail,
          fmt::format("not {}: the file system keeps mode {:04o}", path, now.st_mode & permissions),
          choose_another);
    ++(own.is_folder() ? folders_ : files_);
    add(Level::ok, fmt::format("{}: mode {:04o}, was {:04o}", path, mode, before));
  }

  const std::string& directory_;
  std::vector<Finding> findings_;
  std::vector<Finding> failures_;
  size_t folders_ = 0;
  size_t files_ = 0;
};

}  // namespace

std::vector<Finding> repair_modes(const std::string& directory) {
  Repair repair(directory);
  repair.run();
  return repair.take_findings();
}

}  // namespace memolock
