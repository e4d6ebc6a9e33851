#include "src/command/watchdog.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "src/system/helper_process.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

/// read(2), retried until it succeeds.
ssize_t read_persistently(int from, void* into, size_t size) noexcept {
  for (;;) {
    const ssize_t got = read(from, into, size);
    if (got >= 0) return got;
    if (errno != EINTR) pause_briefly();
  }
}

struct Assignment {
  int lifeline;
  const char* cleanup_file;       // "": none
  const char* cleanup_directory;  // "": none
};

/// The main function of the watchdog. Reads the process id of the command from the lifeline, then
/// waits until no process has the other end of the lifeline open, which means that memolock has
/// died.
void watch(void* argument) {
  const auto& [lifeline, cleanup_file,
               cleanup_directory] = *static_cast<const Assignment*>(argument);
  pid_t group = 0;
  char never = 0;
  // The id must be that of a group: kill(-1) would signal every process.
  if (read_persistently(lifeline, &group, sizeof group) == static_cast<ssize_t>(sizeof group) &&
      group > 1 && read_persistently(lifeline, &never, 1) == 0) {
    // Before the kill, because the watchdog itself is in the group.
    if (*cleanup_file != '\0') unlink(cleanup_file);
    if (*cleanup_directory != '\0') rmdir(cleanup_directory);
    retry_syscall([&] { return kill(-group, SIGKILL); });
  }
}

}  // namespace

Watchdog::~Watchdog() {
  end();
  if (ended_) retry_syscall([&] { return waitpid(pid_, nullptr, 0); });
}

void Watchdog::start(const CleanupPath& cleanup) noexcept {
  std::array<int, 2> lifeline{};
  if (pipe2(lifeline.data(), O_CLOEXEC) != 0) return;
  other_end_.reset(lifeline[0]);
  lifeline_.reset(lifeline[1]);
  const std::array kept{lifeline[0]};
  Assignment assignment{lifeline[0], cleanup.path.c_str(), cleanup.directory.c_str()};
  pid_ = start_helper_process(watch, &assignment, kept);
  if (pid_ < 0) lifeline_.reset();
}

void Watchdog::join(pid_t group) noexcept {
  other_end_.reset();
  // As a member of the group, it prevents the group's id from being reused.
  if (is_running()) retry_syscall([&] { return setpgid(pid_, group); });
}

void Watchdog::end() noexcept {
  if (is_running() && !ended_) ended_ = retry_syscall([&] { return kill(pid_, SIGKILL); }) == 0;
}

}  // namespace memolock
