// When a request to a Redis server is tried again.
#pragma once

#include "src/redis/progress_timeout.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// Counts and times the attempts of one request. Every loop of attempts is bounded: by the wait
/// limit, by `retry_for` where no connection can be made, by the longer of `retry_for` and the
/// timeout where a server is busy, and by a number of redirections. Used by one thread.
class RedisRetry {
 public:
  enum class Decision {
    at_once,
    after_pause,  ///< after pause()
    give_up,
  };

  /// The request begins now. `timeout`: of connecting and of each attempt.
  RedisRetry(Nanoseconds timeout, Nanoseconds retry_for, const WaitLimit& wait_limit);

  /// When the request began, boot clock.
  [[nodiscard]] Nanoseconds begun() const { return begun_; }
  /// Whether the timeout has not passed since: no attempt was on a server that is silent.
  [[nodiscard]] bool is_within_timeout() const { return boot_now() - begun_ < timeout_; }

  /// What to do after an attempt that a node of a cluster has redirected.
  [[nodiscard]] Decision after_redirection();
  /// After one that the server was too busy to serve.
  [[nodiscard]] Decision after_busy();
  /// After one that failed on a node of a cluster that others may replace.
  [[nodiscard]] Decision after_lost_node();
  /// After any other.
  [[nodiscard]] Decision after_lost_connection();

  /// Sleeps before the next attempt, twice as long each time. Throws Error(interrupted).
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
