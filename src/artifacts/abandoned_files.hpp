// What killed restores have left behind.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace memolock {

/// Finds and removes staged files (system/staging_name.hpp) of restores that no longer run.
///
/// A restore keeps its first staged file locked until it ends, and moves it into place last.
/// Whoever can take that lock knows that the restore is dead, and removes all files with its token,
/// in this directory and in those that are cleaned later. Where there is no such file, or the file
/// system has no locks, files are removed by age.
///
/// One object for each restore, used by one thread.
class AbandonedFiles {
 public:
  /// Removes them from an open directory. Whatever fails is left for the next restore.
  void remove_from(int directory);

 private:
  // Longer than any restore takes, even one that was stopped over night.
  static constexpr std::chrono::hours old{24};

  [[nodiscard]] bool is_abandoned(int directory, const std::string& token, const std::string& name);

  std::map<std::string, bool> is_running_;  // by token, for restores whose lock has been tried
};

}  // namespace memolock
