// The lease of a lock that is held.
#pragma once

#include <functional>
#include <thread>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

enum class Renewal {
  renewed,
  stolen,  ///< another process holds the lock, or has stored something newer
};

/// Renews a lock every third of its lease, in a thread of its own: a reader that blocks the main
/// thread must not cost the lease. All members are for the thread that owns this.
class Lease {
 public:
  /// Called in the lease's thread. Must return soon after the descriptor `give_up` becomes
  /// readable. When it throws Error, the renewal is tried again.
  using Renew = std::function<Renewal(int give_up)>;
  /// `acquired`: when the request that took the lock was sent, boot clock. The lock lives for at
  /// least `length` from then.
  Lease(Nanoseconds length, Nanoseconds acquired, Renew renew);
  /// Starts the thread, unless it runs. Throws Error(store).
  void start();
  /// Ends the thread, after waiting for a renewal in progress: the lock is about to be released,
  /// and a renewal that arrives later could take it again.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Ends the thread as the destructor does, but a renewal in progress is given up when the
  /// descriptor `interrupt` becomes readable.
  void stop(int interrupt) noexcept;
  /// The same, but it is given up at once.
  void stop_now() noexcept;

  /// Becomes readable when the lock was stolen, and when it may have expired because no renewal has
  /// succeeded, even while one is in progress. In the latter case it may become unreadable again: a
  /// lock that has only vanished can be taken again.
  [[nodiscard]] int lease_lost_descriptor() const { return lost_.get(); }

 private:
  void run() noexcept;
  [[nodiscard]] bool wait_for_stop(Nanoseconds moment) const noexcept;
  void set_deadline(Nanoseconds deadline);

  Nanoseconds length_;
  Nanoseconds deadline_{0};
  Renew renew_;
  Descriptor lost_;     // a timer that expires at the deadline
  Descriptor stop_;     // readable: the thread must end
  Descriptor give_up_;  // readable: a renewal in progress must end
  Descriptor stopped_;  // readable: the thread is about to end
  std::thread thread_;
};

}  // namespace memolock
