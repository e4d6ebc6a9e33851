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

// After TERM: how long a reader may stall.
constexpr Nanoseconds stall_limit = std::chrono::milliseconds(100);

Descriptor open_term_signal() noexcept {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  return Descriptor(signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

void LateOutput::add(Descriptor pipe, int to) noexcept {
  StreamCopy& stream = streams_.at(count_++);
  stream.from = std::move(pipe);
  stream.to = to;
}

bool LateOutput::is_over() const noexcept {
  return std::none_of(streams_.begin(), streams_.end(),
                      [](const StreamCopy& stream) { return static_cast<bool>(stream.from); });
}

bool LateOutput::hand_over_to_process() noexcept {
  std::array<int, 4> kept{nowhere, nowhere, nowhere, nowhere};
  for (size_t i = 0; i < streams_.size(); ++i) {
    if (!streams_.at(i).from) continue;
    kept.at(2 * i) = streams_.at(i).from.get();
    kept.at(2 * i + 1) = streams_.at(i).to;
  }
  const auto main_function = [](void* self) {
    // The process must not get signals from the terminal or keep a directory in use.
    setsid();
    (void)!chdir("/");
    // A process that terminates all its descendants with TERM also waits for this one.
    const Descriptor term = open_term_signal();
    static_cast<LateOutput*>(self)->pass_on(term.get(), OnInterrupt::discard_stalled);
  };
  if (start_helper_process(main_function, this, kept) < 0) return false;
  for (StreamCopy& stream : streams_) stream.from.reset();
  return true;
}

void LateOutput::pass_on(int interrupt, OnInterrupt on_interrupt) noexcept {
  bool is_hurrying = false;
  while (!is_over()) {
    std::array<pollfd, 5> waiting{};
    bool is_full = false;
    for (size_t i = 0; i < streams_.size(); ++i) {
      const StreamCopy& stream = streams_.at(i);
      const bool full = stream.size > 0;
      is_full = is_full || full;
      // Without events, poll(2) still reports that the reader has left.
      waiting.at(2 * i) = {full ? -1 : stream.from.get(), POLLIN, 0};
      waiting.at(2 * i + 1) = {stream.from ? stream.to : -1, static_cast<short>(full ? POLLOUT : 0),
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
      for (StreamCopy& stream : streams_) stream.last_progress = awake_now();
    }
    for (size_t i = 0; i < streams_.size(); ++i) {
      const auto reader = waiting.at(2 * i + 1).revents;
      if ((reader & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        note_lost_reader(streams_.at(i));
      } else if ((reader & POLLOUT) != 0) {
        write_to(streams_.at(i));
      }
      if (waiting.at(2 * i).revents != 0) read_from(streams_.at(i));
    }
    if (is_hurrying) discard_stalled();
  }
}

void LateOutput::discard_stalled() noexcept {
  const Nanoseconds now = awake_now();
  for (StreamCopy& stream : streams_) {
    if (stream.size == 0 || now < stream.last_progress + stall_limit) continue;
    stream.from.reset();
    stream.size = 0;
  }
}

/// A write to a terminal that has hung up fails without a signal, so the writer would continue.
void LateOutput::note_lost_reader(StreamCopy& stream) noexcept {
  struct stat destination {};
  if (fstat(stream.to, &destination) == 0 && S_ISCHR(destination.st_mode)) {
    stream.to = nowhere;
  } else {
    stream.from.reset();
  }
  stream.size = 0;
}

void LateOutput::read_from(StreamCopy& stream) noexcept {
  const ssize_t got = read(stream.from.get(), stream.bytes.data(), stream.bytes.size());
  stream.written = 0;
  stream.last_progress = awake_now();
  stream.size = got > 0 && stream.to != nowhere ? static_cast<size_t>(got) : 0;
  if (got == 0) stream.from.reset();
  if (got < 0 && errno != EAGAIN) pause_briefly();
}

/// Output that cannot be written, for example to a full disk, is lost, as it would be without
/// memolock.
void LateOutput::write_to(StreamCopy& stream) noexcept {
  const ssize_t put = retry_syscall([&] {
    return write(stream.to, stream.bytes.data() + stream.written, stream.size - stream.written);
  });
  if (put < 0 && errno == EAGAIN) return;
  stream.last_progress = awake_now();
  if (put >= 0) stream.written += static_cast<size_t>(put);
  if (put < 0 && reader_has_left(errno)) stream.from.reset();
  if (put < 0 || stream.written == stream.size) stream.size = 0;
}

}  // namespace memolock
