#include "src/signals.hpp"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "src/error.hpp"

namespace memolock {
namespace {

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Signals::Signals() {
  sigemptyset(&taken_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    if (!is_ignored(signal)) sigaddset(&taken_, signal);
  sigset_t blocked = taken_;
  sigaddset(&blocked, SIGPIPE);
  sigaddset(&blocked, SIGXFSZ);
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, &original_mask_);
  descriptor_.reset(signalfd(-1, &taken_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor_) throw system_error("cannot watch for signals", errno);

  // Where children are ignored the kernel reaps them itself, and their exit status is gone.
  ignored_children_ = is_ignored(SIGCHLD);
  if (ignored_children_) signal(SIGCHLD, SIG_DFL);
}

std::optional<Signals::Received> Signals::take() {
  signalfd_siginfo info{};
  if (read(descriptor_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info))
    return std::nullopt;
  return Received{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

void Signals::let_through() const { sigprocmask(SIG_UNBLOCK, &taken_, nullptr); }

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
  sigprocmask(SIG_SETMASK, &original_mask_, nullptr);
}

void die_by(int signal_number) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(signal_number, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, signal_number);
  raise(signal_number);
  sigprocmask(SIG_UNBLOCK, &mask, nullptr);
}

}  // namespace memolock
