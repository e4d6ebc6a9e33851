#include "src/system/inherited_children.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "src/system/exit_status.hpp"
#include "src/system/process.hpp"
#include "src/system/retry_syscall.hpp"
#include "src/system/signals.hpp"

namespace memolock {
namespace {

// The effect of leave_inherited_children().
bool has_left = false;  // this is the new process
bool has_kept = false;  // no new process could be started

/// Reaps the children that have already ended, which only this process can do. Returns whether
/// there are others.
bool has_living_children() noexcept {
  for (;;) {
    siginfo_t ended{};
    // Usually there are no children, and this is the only system call of the check.
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | __WALL) != 0) return false;
    if (ended.si_pid == 0) return true;
  }
}

/// Whether the terminal has sent this signal to the whole foreground group, which includes the new
/// process.
bool is_sent_to_group(const siginfo_t& received) noexcept {
  if (received.si_code != SI_KERNEL) return false;
  switch (received.si_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGWINCH:
      return true;
    case SIGHUP:
      return getsid(0) != getpid();  // on a hangup the kernel signals only the session leader
    default:
      return false;
  }
}

[[noreturn]] void end_as(int native_status) noexcept {
  if (!WIFSIGNALED(native_status)) _exit(WEXITSTATUS(native_status));
  terminate_by_signal(WTERMSIG(native_status));
  _exit(exit_status::of_signal(WTERMSIG(native_status)));
}

/// Reaps the children that have ended. If `process` is one of them, ends this process in the same
/// way.
void reap(pid_t process) noexcept {
  for (;;) {
    int native_status = 0;
    const pid_t reaped = waitpid(-1, &native_status, WNOHANG | __WALL);
    if (reaped == process) end_as(native_status);
    if (reaped <= 0) return;
  }
}

/// Runs in the old process until it ends. The old process does not stop when the new one stops: a
/// key on the terminal stops both anyway, and this process might then stop after both have been
/// continued.
[[noreturn]] void forward_signals_until_end(pid_t process, const sigset_t& taken) noexcept {
  for (;;) {
    siginfo_t received{};
    if (sigwaitinfo(&taken, &received) < 0) {
      if (errno != EINTR) pause_briefly();
      continue;
    }
    if (received.si_signo == SIGCHLD) {
      reap(process);
    } else if (!is_sent_to_group(received)) {
      kill(process, received.si_signo);
    }
  }
}

}  // namespace

void leave_inherited_children() noexcept {
  if (!has_living_children()) return;
  // All signals that can be forwarded. Signals that stop a process must stop this one too, or the
  // caller's shell would not notice.
  sigset_t taken;
  sigset_t original_mask;
  sigfillset(&taken);
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) sigdelset(&taken, signal);
  sigprocmask(SIG_BLOCK, &taken, &original_mask);
  // If SIGCHLD were ignored, the kernel would reap children itself, and their exit status would be
  // lost.
  const auto on_child = signal(SIGCHLD, SIG_DFL);
  const pid_t old_process = getpid();
  const pid_t process = retry_syscall([] { return fork(); });
  if (process > 0) forward_signals_until_end(process, taken);

  if (process == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!is_parent(old_process))
      _exit(exit_status::of_signal(SIGKILL));  // the parent died before prctl()
    // In the same group, a signal to the group would arrive twice. On a terminal, job control needs
    // the same group.
    if (!has_controlling_terminal()) setpgid(0, 0);
    has_left = true;
  }
  signal(SIGCHLD, on_child);
  sigprocmask(SIG_SETMASK, &original_mask, nullptr);
  has_kept = process < 0;
}

bool has_inherited_children() noexcept { return has_kept; }

bool ends_namespace() noexcept { return getpid() == 1 || (has_left && getppid() == 1); }

}  // namespace memolock
