// Observes a wait, so that it can be reported to the user.
#pragma once

#include "src/system/clock.hpp"

namespace memolock {

/// Called in the thread that waits.
class WaitObserver {
 public:
  virtual ~WaitObserver() = default;
  /// When still_waiting() is to be called next, on the boot clock; `forever`: never.
  [[nodiscard]] virtual Nanoseconds next_notice() const = 0;
  /// Called at next_notice() if the wait continues. Must not block.
  virtual void still_waiting() = 0;
};

}  // namespace memolock
