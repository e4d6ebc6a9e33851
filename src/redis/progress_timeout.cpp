#include "src/redis/progress_timeout.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "src/system/units.hpp"

namespace memolock {
namespace {

// A request that transfers more than this may take longer than the timeout, if it transfers at
// least this much in each period.
constexpr uint64_t large_transfer = 64U << 10;
constexpr Nanoseconds shortest_span = std::chrono::seconds(2);

}  // namespace

WaitLimit WaitLimit::within(Nanoseconds length) const {
  return {interrupt, std::min(until, after(boot_now(), length))};
}

ProgressTimeout::ProgressTimeout(Nanoseconds timeout, const WaitLimit& wait_limit)
    : timeout_(timeout), wait_limit_(wait_limit) {}

void ProgressTimeout::begin_connecting() { begin(); }

void ProgressTimeout::begin_request() {
  is_request_ = true;
  begin();
}

void ProgressTimeout::begin() {
  const Nanoseconds now = boot_now();
  interrupt_checked_ = now;
  sent_ = 0;
  is_counted_ = true;
  window_ = {};
  window_.span = timeout_;
  window_.end = std::min(after(now, timeout_), wait_limit_.until);
  window_.is_cut = window_.end == wait_limit_.until;
  if (now >= window_.end) throw timeout_error("no answer");
}

Nanoseconds ProgressTimeout::rate_span() const { return std::max(timeout_, shortest_span); }

void ProgressTimeout::expect_large_transfer() {
  window_.span = rate_span();
  window_.end = after(boot_now(), window_.span);
  window_.has_rate = true;
  window_.is_cut = false;
  window_.is_large = true;
}

/// Does nothing while connecting: the replies to a login do not extend its time.
void ProgressTimeout::expect_download() {
  if (is_request_) expect_large_transfer();
}

void ProgressTimeout::await_final_reply() {
  if (!window_.is_cut) window_.end = after(boot_now(), timeout_);
}

void ProgressTimeout::begin_reply() {
  if (!is_counted_) {
    window_ = before_reply_;
    check();
  }
  before_reply_ = window_;
  is_counted_ = false;
}

void ProgressTimeout::add_sent(size_t bytes) {
  sent_ += bytes;
  check_interrupt(boot_now());
}

void ProgressTimeout::add_read(size_t bytes) {
  if (is_request_) window_.received += bytes;
}

Nanoseconds ProgressTimeout::left() const {
  if (window_.end == forever) return forever;
  return std::max(window_.end - boot_now(), Nanoseconds(0));
}

Error ProgressTimeout::timeout_error(const std::string& what) const {
  if (window_.is_cut) return store_error(what + " in time");
  const std::string fault = window_.has_rate ? "less than 64 KiB transferred" : what;
  return store_error(fault + " within " + format_duration(window_.span));
}

/// How many bytes of a large request the peer has acknowledged.
uint64_t ProgressTimeout::acknowledged() const {
  if (sent_ <= large_transfer) return 0;
  int waiting = 0;
  if (socket_ < 0 || ioctl(socket_, SIOCOUTQ, &waiting) != 0) return sent_;
  // On a unix socket, this is the memory that the bytes occupy, which is more.
  return sent_ - std::min(sent_, static_cast<uint64_t>(std::max(waiting, 0)));
}

/// At the end of the window: begins the next one if enough was transferred, and returns whether it
/// was.
bool ProgressTimeout::extend() {
  const uint64_t acknowledged = std::max(this->acknowledged(), window_.acknowledged);
  const uint64_t moved = window_.received + acknowledged;
  // The last part of the request may be smaller, and the reply has not arrived yet.
  const bool has_arrived = acknowledged > window_.acknowledged && acknowledged == sent_;
  const bool has_rate = moved >= window_.moved + large_transfer;
  if (!has_rate && !has_arrived) return false;
  const Nanoseconds span = rate_span();
  window_ = {.end = after(boot_now(), span),
             .span = span,
             .received = window_.received,
             .moved = moved,
             .acknowledged = acknowledged,
             .has_rate = !has_arrived,
             .is_large = window_.is_large};
  return true;
}

void ProgressTimeout::check() {
  constexpr Nanoseconds grace = std::chrono::milliseconds(100);
  const Nanoseconds now = boot_now();
  check_interrupt(now);
  if (now < window_.end || extend()) return;
  if (window_.grace_end == forever) window_.grace_end = after(now, grace);
  if (now >= window_.grace_end) throw timeout_error("no answer");
}

/// A wait would notice the interrupt, but there is no wait while the peer continuously sends or
/// accepts bytes.
void ProgressTimeout::check_interrupt(Nanoseconds now) {
  constexpr Nanoseconds pause = std::chrono::milliseconds(50);
  if (wait_limit_.interrupt < 0 || now < interrupt_checked_ + pause) return;
  interrupt_checked_ = now;
  if (await_readable(-1, wait_limit_.interrupt, now) == WaitEnd::interrupted)
    throw interrupted_error();
}

bool ProgressTimeout::await(std::vector<pollfd>& waiting, Nanoseconds at_most) {
  waiting.push_back({.fd = wait_limit_.interrupt, .events = POLLIN, .revents = 0});
  const WaitEnd ready = await_events(waiting, std::min(after(boot_now(), at_most), window_.end));
  waiting.pop_back();
  if (ready == WaitEnd::interrupted) throw interrupted_error();
  if (ready == WaitEnd::readable) check();
  if (ready == WaitEnd::timed_out && left() == Nanoseconds(0) && !extend())
    throw timeout_error("no answer");
  return ready == WaitEnd::readable;
}

void ProgressTimeout::await(int fd, short events) {
  std::vector<pollfd> waiting{{.fd = fd, .events = events, .revents = 0}};
  waiting.reserve(2);
  while (!await(waiting, forever)) {
  }
}

}  // namespace memolock
