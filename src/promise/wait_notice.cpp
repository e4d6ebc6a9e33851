#include "src/promise/wait_notice.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "src/system/units.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A shorter wait would end before the line could be read.
constexpr milliseconds terminal_delay(500);
constexpr seconds terminal_period(1);
// Many CI systems stop a job that has been silent for 10 minutes.
constexpr seconds log_delay(60);
// Longer than most commands take, so it may be a deadlock.
constexpr seconds advice_delay(60);
constexpr minutes log_period(5);

}  // namespace

WaitResult WaitNotice::wait(Watch& watch, Nanoseconds now, std::optional<Nanoseconds> last_run_time,
                            Nanoseconds deadline, int interrupt) {
  log_.info("{}: waiting for {}", key_.shown(), describe_run(watch.run_record(), now));
  begin(watch.run_record(), now, last_run_time);
  WaitResult woken = watch.wait(deadline, interrupt, *this);
  end();
  return woken;
}

void WaitNotice::record_holder(const Watch* watch) {
  holder_known_ = watch != nullptr;
  if (holder_known_ && log_.is_enabled(Level::warn)) run_ = watch->run_record();
}

std::string WaitNotice::holder() const {
  if (!holder_known_) return "an unknown process";
  const bool is_promise = !run_.foreign && run_.producer == Producer::external;
  return (is_promise ? "the promise of " : "") + describe_holder(run_);
}

bool WaitNotice::pause(Backoff& backoff, int interrupt) {
  holder_known_ = false;
  const Nanoseconds now = boot_now();
  began_ = std::min(began_, now);
  if (unknown_holder_due_ == forever) unknown_holder_due_ = now + log_delay;
  if (now >= unknown_holder_due_) {
    log_.warn("still waiting for {}: locked by an unknown process{}", key_.shown(), advice(now));
    unknown_holder_due_ = now + log_period;
  }
  return backoff.pause(interrupt);
}

void WaitNotice::begin(const Record& run, Nanoseconds now,
                       std::optional<Nanoseconds> last_run_time) {
  unknown_holder_due_ = forever;
  holder_known_ = true;
  if (!log_.is_enabled(Level::warn)) return;
  began_ = std::min(began_, boot_now());
  run_ = run;
  clock_offset_ = now - boot_now();
  last_run_time_ = last_run_time;
  if (StatusLine::is_supported(STDERR_FILENO)) {
    line_.emplace(STDERR_FILENO);
    due_ = boot_now() + terminal_delay;
  } else if (due_ == forever) {
    due_ = boot_now() + log_delay;
  }
}

void WaitNotice::end() {
  if (!line_) return;
  line_.reset();
  due_ = forever;
}

void WaitNotice::still_waiting() {
  const Nanoseconds now = boot_now();
  if (now < due_) return;
  if (line_) {
    line_->show("memolock: " + bar(now) + text(now));
    due_ = now + terminal_period;
  } else {
    log_.warn("still {}", text(now));
    due_ = now + log_period;
  }
}

std::string WaitNotice::text(Nanoseconds now) const {
  std::string text = fmt::format("waiting for {}: {}", key_.shown(),
                                 describe_run(run_, now + clock_offset_));
  if (last_run_time_)
    text += fmt::format(", the last run took {}", format_duration(*last_run_time_));
  return text.append(advice(now));
}

std::string_view WaitNotice::advice(Nanoseconds now) const {
  const bool is_due = has_timeout_ == HasTimeout::no && now - began_ >= advice_delay;
  return is_due ? " (use --wait to limit the wait)" : "";
}

/// The estimated progress of the run, assuming that it takes as long as the last one.
std::string WaitNotice::bar(Nanoseconds now) const {
  constexpr int width = 10;
  if (!last_run_time_ || *last_run_time_ < terminal_period) return "";
  const auto fraction = std::chrono::duration<double>(now + clock_offset_ - run_.begun) /
                        std::chrono::duration<double>(*last_run_time_);
  const int done = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width);
  return fmt::format("[{:#<{}}{:-<{}}] ", "", done, "", width - done);
}

std::string describe_timeout(const Request& request, const WaitNotice& notice) {
  return fmt::format("timed out after waiting {} for {}", format_duration(*request.wait),
                     notice.holder());
}

}  // namespace memolock
