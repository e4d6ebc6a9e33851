// What goes with a run, however this process ends.
#pragma once

#include <string>

namespace memolock {

struct ScratchFile {
  std::string path;    ///< empty: there is none
  std::string folder;  ///< which goes with it; empty: it stays
};

}  // namespace memolock
