// The file of MEMOLOCK_CONTROL, to which a command, or a process that it has started as another
// user or in other namespaces, appends what it says about its result.
//
// It lies in a directory of this user's below /tmp, which others may enter and not list, under a
// name of 128 random bits: who knows the name may write, and nobody else. The directory is not
// sticky, so that fs.protected_regular does not keep root from appending to another user's file.
#pragma once

#include <string>

#include "src/descriptor.hpp"
#include "src/run_environment.hpp"

namespace memolock {

/// The file of one run. Goes with this, and with a process that is killed (Launch::scratch_file);
/// what is left all the same, sweep_control_files() removes.
class ControlFile {
 public:
  ControlFile() = default;
  ~ControlFile() { remove(); }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  /// Makes it, empty. Returns its path; where it cannot be made, /dev/null, and take() says why.
  [[nodiscard]] std::string make();
  /// Whether there is one.
  explicit operator bool() const noexcept { return static_cast<bool>(file_); }

  /// What was written there, once: removes it.
  [[nodiscard]] Control take();

 private:
  [[nodiscard]] Control read() const;
  void remove() noexcept;

  std::string path_;
  Descriptor file_;  // locked, which tells it from one that a killed process has left
  std::string fault_;
};

/// Removes the files that killed processes have left, and those that commands have made anew after
/// their run.
void sweep_control_files() noexcept;

}  // namespace memolock
