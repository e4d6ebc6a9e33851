// A temporary file that does not outlive its run.
#pragma once

#include <string>

namespace memolock {

/// What is removed at the end of a run: by this process, or by the watchdog if this process dies.
struct CleanupPath {
  std::string path;       ///< a file; empty: none
  std::string directory;  ///< of the file, removed after it; empty: it stays
};

}  // namespace memolock
