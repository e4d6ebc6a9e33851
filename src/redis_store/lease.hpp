// The lease of a held lock.
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

/// Renews a lock every third of its lease, in a separate thread, so that the lease is not lost
/// while a reader blocks the main thread. All members are called by the thread that owns this
/// object.
class Lease {
 public:
  /// Called in the lease's thread. Must return soon after the descriptor `cancel` becomes readable.
  /// If it throws, the renewal is retried.
  using Renew = std::function<Renewal(int cancel)>;
  /// `acquired`: when the request that took the lock was sent, boot clock. The lock expires at the
  /// earliest `length` after that.
  Lease(Nanoseconds length, Nanoseconds acquired, Renew renew);
  /// Starts the thread, unless it is running. Throws Error(store).
  void start();
  /// Ends the thread, after waiting for a renewal in progress: the lock is about to be released,
  /// and a renewal that arrives later could take it again.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Ends the thread as the destructor does, but cancels a renewal in progress when the descriptor
  /// `interrupt` becomes readable.
  void stop(int interrupt) noexcept;
  /// The same, but immediately cancels a renewal in progress.
  void stop_now() noexcept;

  /// Becomes readable if the lock was stolen, or if it may have expired because no renewal has
  /// succeeded, even while one is in progress. In the latter case it may become unreadable again:
  /// if the lock has merely vanished, a later renewal takes it again.
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
  Descriptor cancel_;   // readable: a renewal in progress is cancelled
  Descriptor stopped_;  // readable: the thread is about to end
  std::thread thread_;
};

}  // namespace memolock
