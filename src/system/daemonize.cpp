#include "src/system/daemonize.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "src/system/directory.hpp"
#include "src/system/inherited_children.hpp"
#include "src/system/process.hpp"
#include "src/system/signals.hpp"

namespace memolock {
namespace {

/// Closes the inherited descriptors, which are those without close-on-exec.
void close_inherited() {
  std::vector<int> inherited;
  DirectoryReader descriptors(open_directory(AT_FDCWD, "/proc/self/fd"));
  while (const char* const name = descriptors.next()) {
    const int fd = atoi(name);  // NOLINT(cert-err34-c)
    const int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  for (const int fd : inherited) close(fd);
}

void leave_streams() {
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) _exit(EXIT_FAILURE);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, fd);
  close(nothing);
}

void leave_what_is_callers() {
  leave_streams();
  close_inherited();
}

/// Calls waitpid(2) again if it was interrupted.
void await_end(pid_t child) noexcept {
  while (child > 0 && waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// The intermediate process, if it waits for the background process.
pid_t awaited = -1;

}  // namespace

ProcessRole daemonize() {
  const bool first_here = ends_namespace();
  const bool next_is_first = next_process_begins_namespace();
  const pid_t between = fork();
  if (between != 0) {
    if (first_here) {
      awaited = between;
    } else if (!next_is_first) {
      await_end(between);
    }
    return ProcessRole::caller;
  }
  // The intermediate process leads the new session, so that the background process can never get a
  // terminal. It ends immediately, so that init adopts the background process, unless the end would
  // kill that process.
  setsid();
  if (const pid_t copy = fork(); copy != 0) {
    if (first_here || next_is_first) {
      leave_what_is_callers();
      await_end(copy);
    }
    _exit(EXIT_SUCCESS);
  }
  leave_what_is_callers();
  return ProcessRole::background;
}

void await_background() noexcept {
  if (awaited < 0) return;
  // The kernel does not deliver fatal signals to the first process of a PID namespace.
  sigset_t ends = interruption_signals();
  sigaddset(&ends, SIGCHLD);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  while (waitpid(awaited, nullptr, WNOHANG) == 0) {
    siginfo_t received{};
    if (sigwaitinfo(&ends, &received) > 0 && received.si_signo != SIGCHLD) return;
  }
}

}  // namespace memolock
