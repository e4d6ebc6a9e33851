#include "src/redis_store/lease.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "src/system/error.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;

Descriptor checked(int descriptor) {
  if (descriptor < 0) throw system_error("cannot start the renewal of the lease", errno);
  return Descriptor(descriptor);
}

Descriptor make_event() { return checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void signal_event(const Descriptor& event) noexcept {
  const uint64_t one = 1;
  retry_syscall([&] { return write(event.get(), &one, sizeof one); });
}

}  // namespace

Lease::Lease(Nanoseconds length, Nanoseconds acquired, Renew renew)
    : length_(length),
      renew_(std::move(renew)),
      lost_(checked(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK))),
      stop_(make_event()) {
  set_deadline(after(acquired, length));
}

void Lease::start() {
  if (thread_.joinable()) return;
  cancel_ = make_event();
  stopped_ = make_event();
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    throw system_error("cannot start the renewal of the lease", error.code().value());
  }
}

Lease::~Lease() { stop(-1); }

void Lease::stop(int interrupt) noexcept {
  if (!thread_.joinable()) return;
  signal_event(stop_);
  WaitEnd end = WaitEnd::readable;
  if (interrupt >= 0)
    (void)failure_of([&] { end = await_readable(stopped_.get(), interrupt, forever); });
  if (end == WaitEnd::interrupted) signal_event(cancel_);
  thread_.join();
}

void Lease::stop_now() noexcept {
  if (thread_.joinable()) signal_event(cancel_);
  stop(-1);
}

void Lease::set_deadline(Nanoseconds deadline) {
  deadline_ = deadline;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline);
  itimerspec at{};
  at.it_value.tv_sec = seconds.count();
  at.it_value.tv_nsec = (deadline - seconds).count();
  timerfd_settime(lost_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

void Lease::run() noexcept {
  // Only the main thread handles signals. While a command runs, it handles more of them.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const Nanoseconds retry = std::clamp<Nanoseconds>(length_ / 20, milliseconds(20),
                                                    milliseconds(1000));
  Nanoseconds next = deadline_ - length_ * 2 / 3;
  while (!wait_for_stop(next)) {
    const Nanoseconds asked = boot_now();
    Renewal renewal = Renewal::renewed;
    // Not only the request can fail, but also an allocation.
    if (failure_of([&] { renewal = renew_(cancel_.get()); })) {
      next = boot_now() + retry;
      continue;
    }
    if (renewal == Renewal::stolen) {
      set_deadline(asked);
      break;
    }
    set_deadline(after(asked, length_));
    next = asked + length_ / 3;
  }
  signal_event(stopped_);
}

/// Sleeps until `moment`, and returns false. Returns true immediately if the thread must end.
bool Lease::wait_for_stop(Nanoseconds moment) const noexcept {
  WaitEnd end = WaitEnd::timed_out;
  const auto failure = failure_of([&] { end = await_readable(-1, stop_.get(), moment); });
  uint64_t count = 0;
  return failure ? read(stop_.get(), &count, sizeof count) > 0 : end == WaitEnd::interrupted;
}

}  // namespace memolock
