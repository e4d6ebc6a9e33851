// Writes two streams to the caller so that neither delays the other.
#pragma once

#include <cstdint>

#include "src/system/function_ref.hpp"

namespace memolock {

/// The size of a stream that another thread may already be writing. Nothing else may be written
/// between its bytes.
constexpr uint64_t size_unknown = UINT64_MAX;

/// The output for one of the descriptors of the caller.
struct StreamWrite {
  int to = -1;
  uint64_t size = 0;  ///< bytes; size_unknown is for stderr only
  /// Writes the stream, and blocks while its reader is slow. Returns 0 or an errno; does not throw.
  /// The function that it refers to must outlive this object.
  FunctionRef<int> write;
};

/// Writes both streams. If they go to different readers, which may read in any order and at any
/// speed, neither stream waits for the other. If they may go to the same place, stdout is written
/// first, or stderr if its size is unknown. Returns 0 or an errno, that of `out` if both have
/// failed. A reader that has closed its end is not an error.
[[nodiscard]] int write_streams(const StreamWrite& out, const StreamWrite& err) noexcept;

}  // namespace memolock
