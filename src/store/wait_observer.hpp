// Who is told now and then that a wait goes on, so that he can tell the user.
#pragma once

#include "src/system/clock.hpp"

namespace memolock {

class Onlooker {
 public:
  virtual ~Onlooker() = default;
  /// When it wants to be told next, by the boot clock; `forever`: never.
  [[nodiscard]] virtual Nanoseconds due() const = 0;
  /// The wait goes on. Does not block.
  virtual void tell() = 0;
};

}  // namespace memolock
