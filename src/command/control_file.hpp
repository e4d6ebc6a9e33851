// The file of MEMOLOCK_CONTROL, to which a command appends how its result is to be stored, or a
// process does that the command has started as another user or in other namespaces.
//
// The file is in a directory of this user below /tmp, which others may enter but not list. Its name
// consists of 128 random bits, so that only processes that know it can write to it. The directory
// is not sticky, so that fs.protected_regular does not keep root from appending to another user's
// file. If another user has taken the directory's name, or may write there, each run has a
// directory of its own.
#pragma once

#include <string>

#include "src/command/environment.hpp"
#include "src/system/cleanup_path.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The file of one run. Removed by the destructor, or by the watchdog if this process is killed
/// (CommandSpec::scratch). remove_stale_control_files() removes what is left nevertheless. One
/// thread may use it.
class ControlFile {
 public:
  ControlFile() = default;
  ~ControlFile() { remove(); }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  /// Creates it, empty. Returns its path, or /dev/null on failure.
  [[nodiscard]] std::string make();
  /// Why it could not be created, and what to do about it; empty: it was created.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }
  /// Why it is in a directory of its own; empty: it is not.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  [[nodiscard]] const CleanupPath& scratch() const noexcept { return scratch_; }
  /// What was written to it. Removes it.
  [[nodiscard]] Control read_and_remove();

 private:
  [[nodiscard]] Control read() const;
  void remove() noexcept;

  [[nodiscard]] Descriptor open_or_make_directory(std::string& path);
  void make_file();

  CleanupPath scratch_;
  Descriptor file_;  // locked, unlike one that a killed process has left
  std::string fault_;
  std::string remedy_;
  std::string refusal_;
};

/// A message that says why no file can be created at the moment; empty: one can.
[[nodiscard]] std::string fault_of_control_files();

/// The directory of the files, apart from those that have one of their own.
[[nodiscard]] std::string control_directory();

/// Removes the files of processes that were killed, files that commands have created again after
/// their run, and directories of single runs.
void remove_stale_control_files() noexcept;

}  // namespace memolock
