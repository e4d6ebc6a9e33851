// When a request to a Redis server is retried.
#pragma once

#include "src/redis/progress_timeout.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Counts and times the attempts of one request. Every loop of attempts is bounded: by the wait
/// limit; by `retry_for` if no connection can be made; by the longer of `retry_for` and the timeout
/// if a server is busy; and by a maximum number of redirections. Used by one thread.
class RedisRetry {
 public:
  enum class Decision {
    at_once,
    after_pause,  ///< after calling pause()
    give_up,
  };

  /// The request begins now. `timeout`: how long connecting, and then each attempt, may take.
  RedisRetry(Nanoseconds timeout, Nanoseconds retry_for, const WaitLimit& wait_limit);

  /// When the request began, boot clock.
  [[nodiscard]] Nanoseconds begun() const { return begun_; }
  /// Whether less than the timeout has passed since begun(), so that no attempt can have timed out
  /// on a silent server.
  [[nodiscard]] bool is_within_timeout() const { return boot_now() - begun_ < timeout_; }

  /// What to do after an attempt that a node of a cluster has redirected.
  [[nodiscard]] Decision after_redirection();
  /// What to do after an attempt that the server was too busy to serve.
  [[nodiscard]] Decision after_busy();
  /// What to do after an attempt that failed on a node of a cluster, which another node may
  /// replace.
  [[nodiscard]] Decision after_lost_node();
  /// What to do after an attempt that failed for any other reason.
  [[nodiscard]] Decision after_lost_connection();

  /// Sleeps before the next attempt, twice as long each time up to 500 ms. Throws
  /// Error(interrupted).
  void pause();

 private:
  [[nodiscard]] Nanoseconds deadline_in(Nanoseconds length) const;
  [[nodiscard]] Decision pause_until(Nanoseconds deadline);

  Nanoseconds timeout_;
  Nanoseconds retry_for_;
  WaitLimit wait_limit_;
  Nanoseconds begun_;
  Nanoseconds pause_;
  Nanoseconds deadline_{0};  // of the pause, boot clock
  int redirections_ = 0;
  bool has_tried_other_nodes_ = false;
};

}  // namespace memolock
