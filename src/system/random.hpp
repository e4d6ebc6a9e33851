// A random number.
#pragma once

namespace memolock {

/// Uniform in (0, 1].
[[nodiscard]] double chance();

}  // namespace memolock
