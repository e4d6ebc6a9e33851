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

// How long a reader may take nothing once all is to end.
constexpr Nanoseconds stalling = std::chrono::milliseconds(100);

Descriptor watch_for_term() noexcept {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  return Descriptor(signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

void LateOutput::add(Descriptor pipe, int to) noexcept {
  Way& way = ways_.at(count_++);
  way.from = std::move(pipe);
  way.to = to;
}

bool LateOutput::is_over() const noexcept {
  return std::none_of(ways_.begin(), ways_.end(),
                      [](const Way& way) { return static_cast<bool>(way.from); });
}

bool LateOutput::leave_to_process() noexcept {
  std::array<int, 4> kept{nowhere, nowhere, nowhere, nowhere};
  for (size_t i = 0; i < ways_.size(); ++i) {
    if (!ways_.at(i).from) continue;
    kept.at(2 * i) = ways_.at(i).from.get();
    kept.at(2 * i + 1) = ways_.at(i).to;
  }
  const auto life = [](void* self) {
    // Out of reach of the terminal's keys, and of a hang-up; and no folder is in use by it.
    setsid();
    (void)!chdir("/");
    // Whoever ends all that descends from it waits for this process too.
    const Descriptor term = watch_for_term();
    static_cast<LateOutput*>(self)->pass_on(term.get(), OnInterrupt::hurry);
  };
  if (start_helper_process(life, this, kept) < 0) return false;
  for (Way& way : ways_) way.from.reset();
  return true;
}

void LateOutput::pass_on(int interrupt, OnInterrupt on_interrupt) noexcept {
  bool hurries = false;
  while (!is_over()) {
    std::array<pollfd, 5> waiting{};
    bool is_full = false;
    for (size_t i = 0; i < ways_.size(); ++i) {
      const Way& way = ways_.at(i);
      const bool full = way.size > 0;
      is_full = is_full || full;
      // Without an event poll(2) still says that the reader has left.
      waiting.at(2 * i) = {full ? -1 : way.from.get(), POLLIN, 0};
      waiting.at(2 * i + 1) = {way.from ? way.to : -1, static_cast<short>(full ? POLLOUT : 0), 0};
    }
    waiting[4] = {hurries ? -1 : interrupt, POLLIN, 0};
    if (poll_for(waiting, hurries && is_full ? stalling : forever) < 0) {
      pause_briefly();
      continue;
    }
    if (waiting[4].revents != 0) {
      if (on_interrupt == OnInterrupt::stop) return;
      hurries = true;
      for (Way& way : ways_) way.moved = awake_now();
    }
    for (size_t i = 0; i < ways_.size(); ++i) {
      const auto reader = waiting.at(2 * i + 1).revents;
      if ((reader & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        lose_reader(ways_.at(i));
      } else if ((reader & POLLOUT) != 0) {
        write_to(ways_.at(i));
      }
      if (waiting.at(2 * i).revents != 0) read_from(ways_.at(i));
    }
    if (hurries) drop_stalled();
  }
}

void LateOutput::drop_stalled() noexcept {
  const Nanoseconds now = awake_now();
  for (Way& way : ways_) {
    if (way.size == 0 || now < way.moved + stalling) continue;
    way.from.reset();
    way.size = 0;
  }
}

/// A write to a terminal that has hung up fails without a signal.
void LateOutput::lose_reader(Way& way) noexcept {
  struct stat place {};
  if (fstat(way.to, &place) == 0 && S_ISCHR(place.st_mode)) {
    way.to = nowhere;
  } else {
    way.from.reset();
  }
  way.size = 0;
}

void LateOutput::read_from(Way& way) noexcept {
  const ssize_t got = read(way.from.get(), way.bytes.data(), way.bytes.size());
  way.written = 0;
  way.moved = awake_now();
  way.size = got > 0 && way.to != nowhere ? static_cast<size_t>(got) : 0;
  if (got == 0) way.from.reset();
  if (got < 0 && errno != EAGAIN) pause_briefly();
}

/// What cannot be written, as to a full disk, is lost, as it would be for the writer.
void LateOutput::write_to(Way& way) noexcept {
  const ssize_t put = retry_syscall(
      [&] { return write(way.to, way.bytes.data() + way.written, way.size - way.written); });
  if (put < 0 && errno == EAGAIN) return;
  way.moved = awake_now();
  if (put >= 0) way.written += static_cast<size_t>(put);
  if (put < 0 && reader_has_left(errno)) way.from.reset();
  if (put < 0 || way.written == way.size) way.size = 0;
}

}  // namespace memolock
