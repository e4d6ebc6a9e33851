// Two streams to the caller, of which neither holds back the other.
#pragma once

#include <cstdint>
#include <functional>

namespace memolock {

/// Of a stream that may be on its way already, at another hand: nothing goes between its bytes.
constexpr uint64_t size_not_known = UINT64_MAX;

/// What is to be written to one of the caller's descriptors.
struct StreamWrite {
  int to = -1;
  uint64_t size = 0;  ///< bytes; of stderr perhaps size_not_known
  std::function<int()>
      write;  ///< blocks at the reader's pace; returns 0 or an errno; throws nothing
};

/// Writes both. Where they go to different readers, who may read in any order and at any pace,
/// neither waits for the other. Where they may go to one place, stdout comes first, or stderr when
/// its size is not known. Returns the first errno, that of `out` before that of `err`; that a
/// reader has left is not an error.
[[nodiscard]] int write_both_streams(const StreamWrite& out, const StreamWrite& err) noexcept;

}  // namespace memolock
