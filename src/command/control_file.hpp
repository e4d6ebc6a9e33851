// The file of MEMOLOCK_CONTROL, to which a command, or a process that it has started as another
// user or in other namespaces, appends what it says about its result.
//
// It lies in a directory of this user's below /tmp, which others may enter and not list, under a
// name of 128 random bits: who knows the name may write, and nobody else. The directory is not
// sticky, so that fs.protected_regular does not keep root from appending to another user's file.
// Where another user has taken its name, or may write there, each run has a directory of its own.
#pragma once

#include <string>

#include "src/command/environment.hpp"
#include "src/system/cleanup_path.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The file of one run. Goes with this, and with a process that is killed (CommandSpec::scratch);
/// what is left all the same, sweep_control_files() removes.
class ControlFile {
 public:
  ControlFile() = default;
  ~ControlFile() { remove(); }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  /// Makes it, empty. Returns its path; where it cannot be made, /dev/null.
  [[nodiscard]] std::string make();
  /// Why it could not be made, and what to do about it; empty: it could.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }
  /// Why it has a directory of its own; empty: it has none.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  [[nodiscard]] const CleanupPath& scratch() const noexcept { return scratch_; }
  /// What was written there, once: removes it.
  [[nodiscard]] Control take();

 private:
  [[nodiscard]] Control read() const;
  void remove() noexcept;

  [[nodiscard]] Descriptor make_folder(std::string& path);
  void make_file();

  CleanupPath scratch_;
  Descriptor file_;  // locked, which tells it from one that a killed process has left
  std::string fault_;
  std::string remedy_;
  std::string refusal_;
};

/// Why none can be made at the moment, as a message has it; empty: one can.
[[nodiscard]] std::string fault_of_control_files();

/// The directory of the files of all runs.
[[nodiscard]] std::string control_directory();

/// Removes the files that killed processes have left, those that commands have made anew after
/// their run, and the directories that runs have had of their own.
void remove_stale_control_files() noexcept;

}  // namespace memolock
