// Random numbers, from the kernel. Each throws Error(store) where it has none.
#pragma once

#include <string>

namespace memolock {

/// Uniform in (0, 1].
[[nodiscard]] double random_unit();

/// A name that nobody can guess: 128 bits in 32 hexadecimal digits.
[[nodiscard]] std::string random_name();

}  // namespace memolock
