// Writes two streams to the caller so that neither holds back the other.
#pragma once

#include <cstdint>

#include "src/system/function_ref.hpp"

namespace memolock {

/// The size of a stream that another thread may be writing already: nothing may be written between
/// its bytes.
constexpr uint64_t size_unknown = UINT64_MAX;

/// The output for one of the caller's descriptors.
struct StreamWrite {
  int to = -1;
  uint64_t size = 0;  ///< bytes; size_unknown is for stderr only
  /// Writes it, blocking while the reader is slow. Returns 0 or an errno; throws nothing.
  FunctionRef<int> write;
};

/// Writes both. If they go to different readers, which may read in any order and at any speed,
/// neither stream waits for the other. If they may go to the same place, stdout is written first,
/// or stderr if its size is unknown. Returns 0 or the first errno, that of `out` before that of
/// `err`; a reader that has closed its end is not an error.
[[nodiscard]] int write_streams(const StreamWrite& out, const StreamWrite& err) noexcept;

}  // namespace memolock
