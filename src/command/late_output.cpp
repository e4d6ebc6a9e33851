#include "src/command/late_output.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "src/system/helper_process.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

// After TERM: how long a reader may read nothing.
constexpr Nanoseconds stall_limit = std::chrono::milliseconds(100);

Descriptor open_term_signal() noexcept {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  return Descriptor(signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

void LateOutput::add(Descriptor pipe, int to) noexcept {
  Route& route = routes_.at(count_++);
  route.from = std::move(pipe);
  route.to = to;
}

bool LateOutput::is_over() const noexcept {
  return std::none_of(routes_.begin(), routes_.end(),
                      [](const Route& route) { return static_cast<bool>(route.from); });
}

bool LateOutput::hand_over_to_process() noexcept {
  std::array<int, 4> kept{nowhere, nowhere, nowhere, nowhere};
  for (size_t i = 0; i < routes_.size(); ++i) {
    if (!routes_.at(i).from) continue;
    kept.at(2 * i) = routes_.at(i).from.get();
    kept.at(2 * i + 1) = routes_.at(i).to;
  }
  const auto main_function = [](void* self) {
    // So that it gets no signals from the terminal and keeps no directory in use.
    setsid();
    (void)!chdir("/");
    // A process that ends all its descendants waits for this one, too.
    const Descriptor term = open_term_signal();
    static_cast<LateOutput*>(self)->pass_on(term.get(), OnInterrupt::hurry);
  };
  if (start_helper_process(main_function, this, kept) < 0) return false;
  for (Route& route : routes_) route.from.reset();
  return true;
}

void LateOutput::pass_on(int interrupt, OnInterrupt on_interrupt) noexcept {
  bool is_hurrying = false;
  while (!is_over()) {
    std::array<pollfd, 5> waiting{};
    bool is_full = false;
    for (size_t i = 0; i < routes_.size(); ++i) {
      const Route& route = routes_.at(i);
      const bool full = route.size > 0;
      is_full = is_full || full;
      // Without events, poll(2) still reports that the reader has left.
      waiting.at(2 * i) = {full ? -1 : route.from.get(), POLLIN, 0};
      waiting.at(2 * i + 1) = {route.from ? route.to : -1, static_cast<short>(full ? POLLOUT : 0),
                               0};
    }
    waiting[4] = {is_hurrying ? -1 : interrupt, POLLIN, 0};
    if (poll_for(waiting, is_hurrying && is_full ? stall_limit : forever) < 0) {
      pause_briefly();
      continue;
    }
    if (waiting[4].revents != 0) {
      if (on_interrupt == OnInterrupt::stop) return;
      is_hurrying = true;
      for (Route& route : routes_) route.last_progress = awake_now();
    }
    for (size_t i = 0; i < routes_.size(); ++i) {
      const auto reader = waiting.at(2 * i + 1).revents;
      if ((reader & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        note_lost_reader(routes_.at(i));
      } else if ((reader & POLLOUT) != 0) {
        write_to(routes_.at(i));
      }
      if (waiting.at(2 * i).revents != 0) read_from(routes_.at(i));
    }
    if (is_hurrying) discard_stalled();
  }
}

void LateOutput::discard_stalled() noexcept {
  const Nanoseconds now = awake_now();
  for (Route& route : routes_) {
    if (route.size == 0 || now < route.last_progress + stall_limit) continue;
    route.from.reset();
    route.size = 0;
  }
}

/// A write to a terminal that has hung up fails without a signal, so its writer goes on.
void LateOutput::note_lost_reader(Route& route) noexcept {
  struct stat destination {};
  if (fstat(route.to, &destination) == 0 && S_ISCHR(destination.st_mode)) {
    route.to = nowhere;
  } else {
    route.from.reset();
  }
  route.size = 0;
}

void LateOutput::read_from(Route& route) noexcept {
  const ssize_t got = read(route.from.get(), route.bytes.data(), route.bytes.size());
  route.written = 0;
  route.last_progress = awake_now();
  route.size = got > 0 && route.to != nowhere ? static_cast<size_t>(got) : 0;
  if (got == 0) route.from.reset();
  if (got < 0 && errno != EAGAIN) pause_briefly();
}

/// Output that cannot be written, as to a full disk, is lost, as it would be without memolock.
void LateOutput::write_to(Route& route) noexcept {
  const ssize_t put = retry_syscall([&] {
    return write(route.to, route.bytes.data() + route.written, route.size - route.written);
  });
  if (put < 0 && errno == EAGAIN) return;
  route.last_progress = awake_now();
  if (put >= 0) route.written += static_cast<size_t>(put);
  if (put < 0 && reader_has_left(errno)) route.from.reset();
  if (put < 0 || route.written == route.size) route.size = 0;
}

}  // namespace memolock
