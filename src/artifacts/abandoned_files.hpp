// Removes the files that killed restores have left.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace memolock {

/// Finds and removes the staged files (system/staging_name.hpp) of restores that are no longer
/// running.
///
/// A restore holds a lock on its first staged file until it ends, and moves that file into place
/// last. If this class can take that lock, the restore is no longer running, and all files with its
/// token are removed, in this directory and in those that are cleaned later. If there is no such
/// file, or the file system has no locks, files are removed by age.
///
/// One object for each restore, used by one thread.
class AbandonedFiles {
 public:
  /// Removes such files from an open directory. Files that cannot be removed are left for the next
  /// restore.
  void remove_from(int directory);

 private:
  // Longer than any restore takes, even one that was stopped overnight.
  static constexpr std::chrono::hours old{24};

  [[nodiscard]] bool is_abandoned(int directory, const std::string& token, const std::string& name);

  std::map<std::string, bool> is_running_;  // by token; restores whose lock was tested
};

}  // namespace memolock
