// Random numbers from the kernel. Each function throws Error(store) if the kernel has none.
#pragma once

#include <string>

namespace memolock {

/// Uniform in (0, 1].
[[nodiscard]] double random_unit();

/// An unguessable name: 128 bits as 32 hexadecimal digits.
[[nodiscard]] std::string random_name();

}  // namespace memolock
