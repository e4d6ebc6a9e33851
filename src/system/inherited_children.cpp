#include "src/system/inherited_children.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "src/system/process.hpp"
#include "src/system/retry_syscall.hpp"
#include "src/system/signals.hpp"

namespace memolock {
namespace {

// What has become of them, if there were any.
bool has_left = false;  // this is the new process
bool has_kept = false;

/// Reaps the children that have ended already, which only this process can. Returns whether there
/// are others.
bool has_living_children() noexcept {
  for (;;) {
    siginfo_t ended{};
    // With no child at all, the usual case, this is the only system call made.
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | __WALL) != 0) return false;
    if (ended.si_pid == 0) return true;
  }
}

/// Whether the terminal has sent this to the whole foreground group, the new process included.
bool is_sent_to_group(const siginfo_t& received) noexcept {
  if (received.si_code != SI_KERNEL) return false;
  switch (received.si_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGWINCH:
      return true;
    case SIGHUP:
      return getsid(0) != getpid();  // a terminal that hangs up tells only the session's leader
    default:
      return false;
  }
}

[[noreturn]] void end_as(int native_status) noexcept {
  if (!WIFSIGNALED(native_status)) _exit(WEXITSTATUS(native_status));
  terminate_by_signal(WTERMSIG(native_status));
  _exit(128 + WTERMSIG(native_status));
}

/// Reaps whatever has ended, and ends with `process`.
void reap(pid_t process) noexcept {
  for (;;) {
    int native_status = 0;
    const pid_t reaped = waitpid(-1, &native_status, WNOHANG | __WALL);
    if (reaped == process) end_as(native_status);
    if (reaped <= 0) return;
  }
}

/// The rest of the old process's life. That the new one is stopped is no reason to stop: a key of
/// the terminal stops both, and one that stopped for the other might do so after they were told to
/// continue.
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
  // All that can be passed on. What stops a process has to stop this one, or the caller's shell
  // would not be told.
  sigset_t taken;
  sigset_t original_mask;
  sigfillset(&taken);
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) sigdelset(&taken, signal);
  sigprocmask(SIG_BLOCK, &taken, &original_mask);
  // Where children are ignored the kernel reaps them itself, and their exit status is gone.
  const auto on_child = signal(SIGCHLD, SIG_DFL);
  const pid_t old_process = getpid();
  const pid_t process = retry_syscall([] { return fork(); });
  if (process > 0) forward_signals_until_end(process, taken);

  if (process == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!is_parent(old_process)) _exit(128 + SIGKILL);  // it died before the line above took hold
    // Else a signal to the group would come twice; on a terminal job control needs the group.
    if (!has_terminal()) setpgid(0, 0);
    has_left = true;
  }
  signal(SIGCHLD, on_child);
  sigprocmask(SIG_SETMASK, &original_mask, nullptr);
  has_kept = process < 0;
}

bool has_inherited_children() noexcept { return has_kept; }

bool ends_namespace() noexcept { return getpid() == 1 || (has_left && getppid() == 1); }

}  // namespace memolock
