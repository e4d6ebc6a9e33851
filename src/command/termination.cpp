#include "src/command/termination.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "src/system/error.hpp"

namespace memolock {
namespace {

// How long a command may take to clean up after TERM before it is killed.
constexpr std::chrono::seconds kill_grace{10};
// How long to wait for killed processes to end.
constexpr std::chrono::seconds kill_patience{2};
// The pauses between checks. They are long because each check reads all of /proc, and a descriptor
// reports most events earlier.
constexpr Nanoseconds first_pause = std::chrono::milliseconds(20);
constexpr Nanoseconds last_pause = std::chrono::seconds(1);

}  // namespace

void Termination::stop() noexcept {
  child_->signal_all(SIGTERM);
  child_->signal_all(SIGCONT);
  kill_after(kill_grace);
}

void Termination::kill() noexcept {
  child_->signal_all(SIGKILL);
  kill_after(Nanoseconds(0));
}

void Termination::kill_after_grace() noexcept { kill_after(kill_grace); }

void Termination::stop_descendants(const RunState& run) noexcept {
  if (run.open_pipes > run.relayed_pipes || child_->remaining() != Child::Remaining::none) {
    stop();
  } else if (run.open_pipes > 0) {
    kill_after(kill_grace);
  }
}

void Termination::kill_after(Nanoseconds grace) noexcept {
  kill_at_ = std::min(kill_at_, boot_now() + grace);
  is_active_ = true;
  check_soon();
}

void Termination::check_soon() noexcept {
  if (!is_active_) return;
  pause_ = first_pause;
  next_check_ = std::min(next_check_, awake_now() + pause_);
}

void Termination::check_later(Nanoseconds now) noexcept {
  Nanoseconds pause = pause_;
  if (now < kill_at_) pause = std::min(pause, kill_at_ - now);
  next_check_ = awake_now() + pause;
  pause_ = std::min<Nanoseconds>(pause_ * 2, last_pause);
}

void Termination::check(const RunState& run) noexcept {
  next_check_ = forever;
  const Nanoseconds now = boot_now();
  const bool is_due = now >= kill_at_;
  if (is_due) child_->signal_all(SIGKILL);
  // Until the kill, the remaining processes matter only if the command has exited.
  const auto remaining = run.has_exited || is_due ? child_->remaining() : Child::Remaining::some;
  const bool is_gone = run.has_exited && run.open_pipes == run.relayed_pipes &&
                       remaining == Child::Remaining::none;
  const bool cannot_be_killed = is_due && remaining == Child::Remaining::of_other_users;
  if (is_gone && (run.open_pipes == 0 || !run.is_progressing)) {
    is_active_ = false;
    has_given_up_ = run.open_pipes > 0;
  } else if (cannot_be_killed || now >= after(kill_at_, kill_patience)) {
    (void)failure_of([&] { remaining_ = child_->describe_remaining(); });
    has_given_up_ = true;
  } else {
    check_later(now);
  }
}

}  // namespace memolock
