// What a waiter says of its wait: on a terminal one live line, elsewhere a line now and then.
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

/// One caller's waits, one after the other. Nothing is said with Level::quiet.
class WaitNotice : public WaitObserver {
 public:
  enum class Bounded : bool { no, yes };

  /// Keeps references to both. Whoever waits for long without a bound is told how to set one.
  WaitNotice(const Key& key, const Log& log, Bounded bounded)
      : key_(key), log_(log), bounded_(bounded) {}

  /// What holds the lock, where that is not waited for: null: no run that could be seen.
  void see(const Watch* watch);
  /// Who was waited for last: "host:1234", "the promise of host:1234", "another program".
  [[nodiscard]] std::string awaited() const;

  /// Watch::wait, told of by this. The rest as of begin().
  [[nodiscard]] WaitResult sleep(Watch& watch, Nanoseconds now,
                                 std::optional<Nanoseconds> last_run_time, Nanoseconds deadline,
                                 int interrupt);

  /// Backoff::pause, told of by this: the lock is held, and there is no run to wait for.
  [[nodiscard]] bool pause(Backoff& backoff, int interrupt);

  /// A wait for this run begins. `now` is of the clock that its times are of; `last_run_time` is
  /// how long the entry's last run took, as far as it is known.
  void begin(const Record& run, Nanoseconds now, std::optional<Nanoseconds> last_run_time);
  /// The wait has ended; the line goes.
  void end();

  [[nodiscard]] Nanoseconds next_notice() const override { return due_; }
  void still_waiting() override;

 private:
  [[nodiscard]] std::string text(Nanoseconds now) const;
  [[nodiscard]] std::string bar(Nanoseconds now) const;

  [[nodiscard]] std::string_view advice(Nanoseconds now) const;

  const Key& key_;
  const Log& log_;
  Bounded bounded_;
  std::optional<StatusLine> line_;
  Nanoseconds due_ = forever;
  Nanoseconds unseen_due_ = forever;  // of a holder that is not known
  Nanoseconds since_ = forever;       // the first wait began, by the boot clock
  Nanoseconds clock_offset_{0};       // of its clock to the boot clock
  std::optional<Nanoseconds> last_run_time_;
  bool is_seen_ = false;
  Record run_;
};

/// What is said where the wait that `notice` has told of has passed.
[[nodiscard]] std::string describe_timeout(const Request& request, const WaitNotice& notice);

/// Whether the caller has set a bound.
[[nodiscard]] inline WaitNotice::Bounded bound_of(const Request& request) {
  return request.wait ? WaitNotice::Bounded::yes : WaitNotice::Bounded::no;
}

}  // namespace memolock
