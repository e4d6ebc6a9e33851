// Who is told now and then that a wait goes on, so that he can tell the user.
#pragma once

#include "src/system/clock.hpp"

namespace memolock {

class WaitObserver {
 public:
  virtual ~WaitObserver() = default;
  /// When it wants to be told next, by the boot clock; `forever`: never.
  [[nodiscard]] virtual Nanoseconds next_notice() const = 0;
  /// The wait goes on. Does not block.
  virtual void still_waiting() = 0;
};

}  // namespace memolock
