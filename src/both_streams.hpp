// Two streams to the caller, of which neither holds back the other.
#pragma once

#include <cstdint>
#include <functional>

namespace memolock {

/// What is to be written to one of the caller's descriptors.
struct Writing {
  int to = -1;
  uint64_t size = 0;  ///< bytes; UINT64_MAX: not known
  std::function<int()>
      write;  ///< blocks at the reader's pace; returns 0 or an errno; throws nothing
};

/// Writes both; where they go to different readers, who read in any order and at any pace, each at
/// its own. Returns the first errno, of `out` before that of `err`; a reader who has left is no
/// error.
[[nodiscard]] int write_both(const Writing& out, const Writing& err) noexcept;

}  // namespace memolock
