// A held lock that lives only as long as it is renewed.
#pragma once

#include <functional>
#include <thread>

#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

enum class Renewal {
  renewed,
  stolen,  ///< somebody else holds the lock, or has stored something newer
};

/// Renews a lock each third of its lease, once start() was called, from a thread of its own: a
/// reader who blocks the main one must not cost the lease.
class Lease {
 public:
  /// `acquired` is the boot clock before the request that took the lock; the lock surely lives
  /// until `length` later. `renew` is called from the lease's thread; it may throw Error, and is
  /// tried again then. It is to end when the descriptor `give_up` becomes readable.
  using Renew = std::function<Renewal(int give_up)>;
  Lease(Nanoseconds length, Nanoseconds acquired, Renew renew);
  /// Begins to renew, unless that has begun. Throws Error(store).
  void start();
  /// Ends the thread, when a renewal under way has ended: the lock is about to be released, and
  /// must not be taken by a renewal that comes after that.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Ends the thread as the destructor does, but a renewal under way is given up when the
  /// descriptor `interrupt` becomes readable, or at once.
  void stop(int interrupt) noexcept;
  void stop_now() noexcept;

  /// Becomes readable when the lock was stolen, and when it could not be renewed before it may have
  /// expired, however long a renewal under way takes. The latter may mend later: a lock that has
  /// only vanished can be taken again.
  [[nodiscard]] int lost_descriptor() const { return lost_.get(); }

 private:
  void run() noexcept;
  [[nodiscard]] bool wait_for_stop(Nanoseconds moment) const noexcept;
  void set_deadline(Nanoseconds deadline);

  Nanoseconds length_;
  Nanoseconds deadline_{0};
  Renew renew_;
  Descriptor lost_;  // a timer that ends at the deadline
  Descriptor stop_;
  Descriptor give_up_;  // readable: a renewal under way is to end
  Descriptor stopped_;  // readable: the thread ends
  std::thread thread_;
};

}  // namespace memolock
