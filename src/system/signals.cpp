#include "src/system/signals.hpp"

#include <limits.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "src/system/error.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

// What memolock was started with, where that is not so any more.
std::optional<rlimit> core_limit;
std::optional<sigset_t> mask_found;

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// Whether memolock was started with it blocked. After block_signals_of_writes().
bool was_blocked(int signal) { return sigismember(&*mask_found, signal) == 1; }

constexpr std::array passed_on{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// Whether one of those has been handed out.
std::atomic<bool> interrupted = false;
std::atomic<bool> message_dropped = false;

/// Whether one of those has been handed out, or is to be.
bool is_interrupted() noexcept {
  sigset_t pending;
  sigemptyset(&pending);
  (void)sigpending(&pending);
  return interrupted || std::any_of(passed_on.begin(), passed_on.end(),
                                    [&](int signal) { return sigismember(&pending, signal) == 1; });
}

/// Waits until stderr takes something; false: this is given up for a signal.
bool await_stderr() noexcept {
  constexpr std::chrono::milliseconds step{100};
  for (;;) {
    std::array<pollfd, 1> waiting{{{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0}}};
    const int ready = poll_for(waiting, step);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    if (is_interrupted()) return false;
  }
}

/// Whether a process that does nothing about it is ended by it. Not those that a write may send.
bool is_deadly(int signal) {
  switch (signal) {
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGCONT:
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
    case SIGKILL:
    case SIGPIPE:
    case SIGXFSZ:
      return false;
    default:
      return signal <= SIGSYS || signal >= SIGRTMIN;  // the C library's own are between
  }
}

bool is_default(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

sigset_t signals_of_writes() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  sigaddset(&signals, SIGXFSZ);
  return signals;
}

}  // namespace

void block_signals_of_writes() noexcept {
  if (mask_found) return;
  const sigset_t signals = signals_of_writes();
  sigset_t found;
  sigprocmask(SIG_BLOCK, &signals, &found);
  mask_found = found;
}

sigset_t signals_of_interruption() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : passed_on)
    if (!is_ignored(signal) && !was_blocked(signal)) sigaddset(&signals, signal);
  return signals;
}

Signals::Signals() {
  block_signals_of_writes();
  taken_ = signals_of_interruption();
  sigset_t blocked = taken_;
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  descriptor_.reset(signalfd(-1, &taken_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor_) throw system_error("cannot watch for signals", errno);

  // Where children are ignored the kernel reaps them itself, and their exit status is gone.
  ignored_children_ = is_ignored(SIGCHLD);
  if (ignored_children_) signal(SIGCHLD, SIG_DFL);
}

void Signals::take_all_deadly() noexcept {
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    if (is_deadly(signal) && is_default(signal) && !was_blocked(signal)) sigaddset(&taken_, signal);
  if (signalfd(descriptor_.get(), &taken_, 0) >= 0) sigprocmask(SIG_BLOCK, &taken_, nullptr);
}

std::optional<Signals::Received> Signals::take() noexcept {
  signalfd_siginfo info{};
  if (read(descriptor_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info))
    return std::nullopt;
  const auto number = static_cast<int>(info.ssi_signo);
  const bool to_command = std::find(passed_on.begin(), passed_on.end(), number) != passed_on.end();
  if (to_command) interrupted = true;
  return Received{number, to_command, info.ssi_code == SI_KERNEL};
}

void Signals::unblock() const noexcept { sigprocmask(SIG_UNBLOCK, &taken_, nullptr); }

Descriptor Signals::watch_children() const {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  Descriptor watch(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!watch) throw system_error("cannot watch for children", errno);
  return watch;
}

void Signals::restore() const {
  if (ignored_children_) signal(SIGCHLD, SIG_IGN);
  sigprocmask(SIG_SETMASK, &*mask_found, nullptr);
  if (core_limit) setrlimit(RLIMIT_CORE, &*core_limit);
}

void Signals::drop_signals_of_writes() const noexcept {
  const sigset_t signals = signals_of_writes();
  const timespec at_once{};
  while (sigtimedwait(&signals, nullptr, &at_once) > 0) {
  }
}

void write_message(std::string_view text) noexcept {
  // A pipe that is said to be writable takes so much without blocking.
  constexpr size_t step = PIPE_BUF;
  while (!text.empty()) {
    if (!await_stderr()) {
      message_dropped = true;
      return;
    }
    const ssize_t put = retry_syscall(
        [&] { return write(STDERR_FILENO, text.data(), std::min(text.size(), step)); });
    if (put >= 0) {
      text.remove_prefix(static_cast<size_t>(put));
    } else if (errno != EAGAIN && errno != EINTR) {
      return;
    }
  }
}

bool is_message_dropped() noexcept { return message_dropped; }

void leave_no_core() {
  if (core_limit) return;
  // 0 would have the kernel still hand one to a program that collects them; for 1 it does not.
  rlimit found{};
  rlimit none{1, RLIM_INFINITY};
  if (prlimit(0, RLIMIT_CORE, &none, &found) != 0) {
    // The hard limit was lower, and must not be raised.
    if (getrlimit(RLIMIT_CORE, &found) != 0) return;
    none = {std::min<rlim_t>(1, found.rlim_max), found.rlim_max};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return;
  }
  core_limit = found;
}

void terminate_by_signal(int signal_number) {
  leave_no_core();
  signal(signal_number, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, signal_number);
  raise(signal_number);
  sigprocmask(SIG_UNBLOCK, &mask, nullptr);
}

}  // namespace memolock
