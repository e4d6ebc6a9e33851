#include "src/system/signals.hpp"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

#include "src/system/error.hpp"

namespace memolock {
namespace {

// The state with which memolock was started; each is set when it is first changed.
std::optional<rlimit> original_core_limit;
std::optional<sigset_t> original_mask;

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// Whether `signal` was blocked when memolock was started. Requires block_write_signals().
bool was_blocked(int signal) { return sigismember(&*original_mask, signal) == 1; }

constexpr std::array forwarded_signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// Whether Signals::next() has returned one of these signals.
std::atomic<bool> interrupted = false;

/// Whether the default action is to end the process. False for the signals that a write may raise.
bool is_fatal(int signal) {
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
      return signal <= SIGSYS ||
             signal >= SIGRTMIN;  // the signals in between belong to the C library
  }
}

bool is_default(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

sigset_t write_signals() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  sigaddset(&signals, SIGXFSZ);
  return signals;
}

}  // namespace

void block_write_signals() noexcept {
  if (original_mask) return;
  const sigset_t signals = write_signals();
  sigset_t found;
  sigprocmask(SIG_BLOCK, &signals, &found);
  original_mask = found;
}

sigset_t interruption_signals() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : forwarded_signals)
    if (!is_ignored(signal) && !was_blocked(signal)) sigaddset(&signals, signal);
  return signals;
}

bool is_interrupted() noexcept {
  sigset_t pending;
  sigemptyset(&pending);
  (void)sigpending(&pending);
  return interrupted || std::any_of(forwarded_signals.begin(), forwarded_signals.end(),
                                    [&](int signal) { return sigismember(&pending, signal) == 1; });
}

Signals::Signals() {
  block_write_signals();
  taken_ = interruption_signals();
  sigset_t blocked = taken_;
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  descriptor_.reset(signalfd(-1, &taken_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor_) throw system_error("cannot watch for signals", errno);

  // If SIGCHLD were ignored, the kernel would reap children itself, and their exit status would be
  // lost.
  ignored_children_ = is_ignored(SIGCHLD);
  if (ignored_children_) signal(SIGCHLD, SIG_DFL);
}

void Signals::receive_all_fatal_signals() noexcept {
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    if (is_fatal(signal) && is_default(signal) && !was_blocked(signal)) sigaddset(&taken_, signal);
  if (signalfd(descriptor_.get(), &taken_, 0) >= 0) sigprocmask(SIG_BLOCK, &taken_, nullptr);
}

std::optional<Signals::Received> Signals::next() noexcept {
  signalfd_siginfo info{};
  if (read(descriptor_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info))
    return std::nullopt;
  const auto number = static_cast<int>(info.ssi_signo);
  const bool is_forwarded = std::find(forwarded_signals.begin(), forwarded_signals.end(), number) !=
                            forwarded_signals.end();
  if (is_forwarded) interrupted = true;
  return Received{number, is_forwarded, info.ssi_code == SI_KERNEL};
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
  sigprocmask(SIG_SETMASK, &*original_mask, nullptr);
  if (original_core_limit) setrlimit(RLIMIT_CORE, &*original_core_limit);
}

void Signals::discard_write_signals() const noexcept {
  const sigset_t signals = write_signals();
  const timespec at_once{};
  while (sigtimedwait(&signals, nullptr, &at_once) > 0) {
  }
}

void disable_core_dumps() {
  if (original_core_limit) return;
  // With a limit of 0, the kernel still pipes the core to a program that collects cores; with 1 it
  // does not.
  rlimit found{};
  rlimit none{1, RLIM_INFINITY};
  if (prlimit(0, RLIMIT_CORE, &none, &found) != 0) {
    // The hard limit is lower and cannot be raised.
    if (getrlimit(RLIMIT_CORE, &found) != 0) return;
    none = {std::min<rlim_t>(1, found.rlim_max), found.rlim_max};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return;
  }
  original_core_limit = found;
}

void terminate_by_signal(int signal_number) {
  disable_core_dumps();
  signal(signal_number, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, signal_number);
  raise(signal_number);
  sigprocmask(SIG_UNBLOCK, &mask, nullptr);
}

}  // namespace memolock
