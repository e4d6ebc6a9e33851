// The directories of a restore: finds or creates them, keeps them open while they are needed, and
// completes or undoes the changes.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/artifacts/abandoned_files.hpp"
#include "src/artifacts/archive.hpp"
#include "src/artifacts/member_place.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/staging_name.hpp"

namespace memolock {

/// The error "cannot restore PATH: …" for a system call that has failed.
[[nodiscard]] Error restore_error(const std::string& path, int error = errno);

/// The mode bits that a restore takes from an archive: without set-user-ID, set-group-ID and
/// sticky.
inline constexpr mode_t restored_permissions = 0777;

/// Where the files, links and directories of an archive go.
///
/// In an archive, a directory must be followed by everything in it before any other member, which
/// is the order in which pack() writes. Therefore each directory is opened a bounded number of
/// times, and only one name is stored for each member. Inside the caller's paths, no symbolic link
/// is followed; links that lead to these paths are trusted, because the caller has named them.
///
/// Used by one thread. Throws Error(store) for a system call that fails. At the end, the caller
/// must call finish(), or undo() if the restore has failed.
class RestoredTree {
 public:
  static constexpr uint32_t none = UINT32_MAX;

  /// A file, link or directory to restore.
  struct Node {
    uint32_t parent;   ///< the number of its directory; `none` for one of the caller's paths
    uint32_t index;    ///< of the caller's path that it belongs to
    std::string name;  ///< in its directory; "" for one of the caller's paths
    [[nodiscard]] bool is_root() const { return parent == none; }
  };

  /// `roots`: the caller's paths, in the order of their indexes. Keeps references to the arguments.
  RestoredTree(const std::vector<std::string>& roots, const StagingNames& names,
               AbandonedFiles& abandoned)
      : roots_(roots), names_(names), abandoned_(abandoned) {}

  /// The node for a member. If the member is one of the caller's paths, creates the directories
  /// above it. Throws RefusedArchive for a member that does not follow its directory.
  [[nodiscard]] Node locate(const Member& member, const MemberPlace& place);

  /// Creates a directory, or uses an existing one. Until finish(), the owner has all permissions on
  /// it.
  void make_directory(Node node, mode_t mode);

  /// The descriptor of the directory that contains a node, valid until the next call.
  [[nodiscard]] int parent_of(const Node& node);

  /// The name of a node in that directory.
  [[nodiscard]] std::string base_name(const Node& node) const;

  /// The path of a node, for messages.
  [[nodiscard]] std::string path_of(const Node& node) const;

  /// Calls `open`, which returns a descriptor or -1 with errno set. While `open` fails for lack of
  /// descriptors, closes directories that are open here, outermost first, except the last one, and
  /// calls it again.
  template <typename Open>
  [[nodiscard]] Descriptor open_sparingly(const Open& open) {
    for (;;) {
      Descriptor opened(open());
      if (opened || errno != EMFILE || !close_outermost()) return opened;
    }
  }

  /// To be called when all files are in place. Removes the files and links that directories have
  /// replaced, and gives each directory its mode and the current time.
  void finish();

  /// Removes the directories that were created, restores the modes of existing directories, and
  /// moves replaced files back. Skips steps that fail.
  void undo();

 private:
  struct Directory {
    Node node;
    uint32_t depth;  // below the caller's path
    mode_t mode;
    std::optional<mode_t> old_mode = std::nullopt;  // of an existing directory, if changed
    bool is_new = false;
    bool has_replaced = false;  // a file or a link, which has a staging name until the end
  };
  struct OpenDirectory {
    uint32_t number;  // in directories_
    Descriptor descriptor;
  };

  [[nodiscard]] uint32_t directory_above(const Member& member, const MemberPlace& place) const;
  [[nodiscard]] bool is_directory_of(uint32_t number, const MemberPlace& place) const;
  [[nodiscard]] bool close_outermost();
  int open_directory(uint32_t number);
  int open_above(const Directory& directory);
  [[nodiscard]] const std::string& name_of(const Directory& directory) const;
  [[nodiscard]] std::string parent_path(const Node& node) const;
  int open_root_parent(const Node& node);
  void make_parents(const std::string& path);
  void replace_other(int above, uint32_t number);
  void allow_owner(int opened, Directory& directory);
  void remove_replaced();
  void finish_directory(uint32_t number);
  void undo_directory(uint32_t number);

  const std::vector<std::string>& roots_;
  const StagingNames& names_;
  AbandonedFiles& abandoned_;
  std::deque<Directory> directories_;
  uint32_t current_ = none;          // the last member's directory, or the last member itself
  std::vector<OpenDirectory> open_;  // the path to current_; only the last few have descriptors
  Descriptor root_parent_;           // the directory that contains a caller's path
  uint32_t root_parent_of_ = none;   // the index of that path
  std::set<std::string> cleaned_;    // parents of roots from which abandoned files were removed
  std::vector<std::string> made_parents_;  // directories created above the caller's paths
};

}  // namespace memolock
