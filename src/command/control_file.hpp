// The file of MEMOLOCK_CONTROL. The command, or a process that it has started (perhaps as another
// user or in other namespaces), appends lines that say how the result is to be stored.
//
// The file is in a directory of this user below /tmp, which others may enter but not list. Its name
// consists of 128 random bits, so that only processes that know it can write to it. The directory
// is not sticky, so that fs.protected_regular does not prevent root from appending to the file of
// another user. If a file or directory of that name belongs to another user or is writable by
// others, each run uses a directory of its own.
#pragma once

#include <string>

#include "src/command/environment.hpp"
#include "src/system/cleanup_path.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The file of one run. Removed by the destructor, or by the watchdog if this process is killed
/// (CommandSpec::cleanup). remove_stale_control_files() removes files that remain nevertheless.
/// Used by one thread.
class ControlFile {
 public:
  ControlFile() = default;
  ~ControlFile() { remove(); }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  /// Creates an empty file. Returns its path, or /dev/null on failure.
  [[nodiscard]] std::string make();
  /// Why it could not be created, and what to do about it; empty: it was created.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  [[nodiscard]] const std::string& advice() const noexcept { return advice_; }
  /// Why the file is in a directory of its own; empty if it is not.
  [[nodiscard]] const std::string& why_own_directory() const noexcept { return why_own_directory_; }

  [[nodiscard]] const CleanupPath& cleanup() const noexcept { return cleanup_; }
  /// Parses the content of the file, and removes the file.
  [[nodiscard]] Control read_and_remove();

 private:
  [[nodiscard]] Control read() const;
  void remove() noexcept;

  [[nodiscard]] Descriptor open_or_make_directory(std::string& path);
  void make_file();

  CleanupPath cleanup_;
  Descriptor file_;  // locked, unlike a file that a killed process has left
  std::string error_;
  std::string advice_;
  std::string why_own_directory_;
};

/// Why no control file can be created now, as a message; empty if one can be created.
[[nodiscard]] std::string why_no_control_files();

/// The directory of all files except those that have a directory of their own.
[[nodiscard]] std::string control_directory();

/// Removes the files of processes that were killed, files that commands have created again after
/// their run, and directories of single runs.
void remove_stale_control_files() noexcept;

}  // namespace memolock
