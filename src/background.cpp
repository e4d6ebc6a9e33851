#include "src/background.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

namespace memolock {
namespace {

/// Closes what has come from whoever started this process: all of our own is close-on-exec.
void close_inherited() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return;
  std::vector<int> inherited;
  while (const dirent* found = readdir(directory)) {  // NOLINT(concurrency-mt-unsafe)
    const int fd = atoi(found->d_name);               // NOLINT(cert-err34-c)
    const int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  closedir(directory);
  for (const int fd : inherited) close(fd);
}

void leave_streams() {
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) _exit(EXIT_FAILURE);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, fd);
  close(nothing);
}

}  // namespace

Side split_off() {
  const pid_t between = fork();
  if (between != 0) {
    while (between > 0 && waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
    }
    return Side::caller;
  }
  // The one between leads the new session, so that the copy can never get a terminal, and ends at
  // once, so that the copy is nobody's child.
  setsid();
  if (fork() != 0) _exit(EXIT_SUCCESS);
  leave_streams();
  close_inherited();
  return Side::background;
}

}  // namespace memolock
