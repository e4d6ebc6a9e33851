#include "src/local_repair.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/error.hpp"
#include "src/folder.hpp"
#include "src/key.hpp"
#include "src/store_directory.hpp"

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

class Repair {
 public:
  explicit Repair(const std::string& directory) : directory_(directory) {}

  void run() {
    const int follow = may_follow(directory_) ? 0 : O_NOFOLLOW;
    const Own root = open_own_thing(AT_FDCWD, directory_, follow);
    if (!root || !root.is_folder())  // why, the examination tells
      return add(Level::ok, "nothing: there is no store of this user's");
    if (is_home(root.info))
      return add(Level::fail, directory_ + " is the home directory, and is left alone");
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
  void add(Level level, std::string words) {
    auto& all = level == Level::ok ? findings_ : failures_;
    all.push_back({level, "repaired", std::move(words), ""});
  }

  void repair(int root, const std::string& name) {
    const std::string path = directory_ + '/' + name;
    const Own own = open_own_thing(root, name, O_NOFOLLOW);
    if (!own) return;
    if (name == gc_stamp && own.is_file()) return set_mode(own, mode_of_files, path);
    if (!own.is_folder()) return;
    const bool is_known = name == counters_folder || name == clusters_folder ||
                          name.starts_with('.' + std::string(scratch_prefix));
    if (is_known || name.front() != '.') repair_folder(own, path, is_known);
  }

  /// A folder of a tag, or (`is_known`) one whose name no other program would give.
  void repair_folder(const Own& folder, const std::string& path, bool is_known) {
    // Its names cannot be read without these.
    const mode_t readable = folder.info.st_mode | mode_of_folders;
    if (readable != folder.info.st_mode && change_mode(folder, readable) != 0)
      return set_mode(folder, mode_of_folders, path);
    if (!is_known && has_foreign_names(folder)) {
      if (readable != folder.info.st_mode) (void)change_mode(folder, folder.info.st_mode);
      return;
    }
    set_mode(folder, mode_of_folders, path);
    each_name(folder.place.get(), ".", Hidden::show, [&](const std::string& name) {
      const Own own = open_own_thing(folder.place.get(), name, O_NOFOLLOW);
      if (own && own.is_file()) set_mode(own, mode_of_files, path + '/' + name);
    });
  }

  static bool has_foreign_names(const Own& folder) {
    bool any = false;
    each_name(folder.place.get(), ".", Hidden::show, [&](const std::string& name) {
      any = any || kind_of_file(name) == FileKind::foreign;
    });
    return any;
  }

  /// Returns 0 or an errno.
  static int change_mode(const Own& own, mode_t mode) {
    // No call takes a descriptor without a right to the file, before Linux 6.6.
    const std::string path = fmt::format("/proc/self/fd/{}", own.place.get());
    return chmod(path.c_str(), mode & ~mode_t{S_IFMT}) == 0 ? 0 : errno;
  }

  void set_mode(const Own& own, mode_t mode, const std::string& path) {
    const mode_t before = own.info.st_mode & permissions;
    if (before == mode) return;
    if (const int error = change_mode(own, mode))
      return add(Level::fail, fmt::format("not {}: {}", path, error_in_sentence(error)));
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
