// Random numbers from the kernel. Each function throws Error(store) if the kernel provides none.
#pragma once

#include <string>

namespace memolock {

/// A number that is uniformly distributed in (0, 1].
[[nodiscard]] double random_unit();

/// An unguessable name: 128 bits as 32 hexadecimal digits.
[[nodiscard]] std::string random_name();

}  // namespace memolock
