// A temporary file that does not outlive its run.
#pragma once

#include <string>

namespace memolock {

/// The paths to remove at the end of a run. This process removes them, or the watchdog if this
/// process dies.
struct CleanupPath {
  std::string path;       ///< of a file; empty: none
  std::string directory;  ///< of the file, to be removed after it; empty: it is not removed
};

}  // namespace memolock
