// The messages of a waiter: one live line on a terminal, otherwise a warning from time to time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/entry/record.hpp"
#include "src/promise/waiting.hpp"
#include "src/store/store.hpp"
#include "src/store/wait_observer.hpp"
#include "src/system/log.hpp"
#include "src/system/status_line.hpp"

namespace memolock {

/// The waits of one call, one after the other. Used by one thread. Writes nothing with
/// Level::quiet.
class WaitNotice : public WaitObserver {
 public:
  enum class HasTimeout : bool { no, yes };

  /// Keeps references to both. After a long wait without a time limit, the messages mention --wait.
  WaitNotice(const Key& key, const Log& log, HasTimeout has_timeout)
      : key_(key), log_(log), has_timeout_(has_timeout) {}

  /// Records who holds the lock if this call does not wait for that run. Null if no run is visible.
  void record_holder(const Watch* watch);
  /// The holder of the last wait: "HOST:PID", "the promise of HOST:PID", "another program" or "an
  /// unknown process".
  [[nodiscard]] std::string holder() const;

  /// Watch::wait() with these messages; `now` and `last_run_time`: see begin().
  [[nodiscard]] WaitResult wait(Watch& watch, Nanoseconds now,
                                std::optional<Nanoseconds> last_run_time, Nanoseconds deadline,
                                int interrupt);

  /// Backoff::pause() with these messages: the lock is held, and no run is visible.
  [[nodiscard]] bool pause(Backoff& backoff, int interrupt);

  /// Begins a wait for `run`. `now`: the time on the clock that `run` uses. `last_run_time`: how
  /// long the last run of the entry took, if that is known.
  void begin(const Record& run, Nanoseconds now, std::optional<Nanoseconds> last_run_time);
  /// Ends the wait, and clears the live line.
  void end();

  [[nodiscard]] Nanoseconds next_notice() const override { return due_; }
  void still_waiting() override;

 private:
  [[nodiscard]] std::string text(Nanoseconds now) const;
  [[nodiscard]] std::string bar(Nanoseconds now) const;

  [[nodiscard]] std::string_view advice(Nanoseconds now) const;

  const Key& key_;
  const Log& log_;
  HasTimeout has_timeout_;
  std::optional<StatusLine> line_;
  Nanoseconds due_ = forever;                 // of the next message; boot clock, as the next two
  Nanoseconds unknown_holder_due_ = forever;  // of the next message about an unknown holder
  Nanoseconds began_ = forever;               // when the first wait began
  Nanoseconds clock_offset_{0};               // from the boot clock to the clock of run_
  std::optional<Nanoseconds> last_run_time_;
  bool holder_known_ = false;
  Record run_;
};

/// "timed out after 5s of waiting for HOST:PID". Requires Request::wait.
[[nodiscard]] std::string describe_timeout(const Request& request, const WaitNotice& notice);

/// Whether the request limits its wait.
[[nodiscard]] inline WaitNotice::HasTimeout has_timeout(const Request& request) {
  return request.wait ? WaitNotice::HasTimeout::yes : WaitNotice::HasTimeout::no;
}

}  // namespace memolock
