// kill_sharers PID: kills the processes that the out-of-memory killer kills if it chooses PID: that
// process and all that share its memory. All are stopped before the first is killed. Prints how
// many they are. The exit status is 77 if the kernel does not report which processes share memory.
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace {

pid_t number_in(const std::string& text) {
  pid_t number = 0;
  const char* const end = text.data() + text.size();
  return std::from_chars(text.data(), end, number).ptr == end ? number : 0;
}

/// 0 if the two processes share their memory.
long compare_memory(pid_t one, pid_t other) { return syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0); }

}  // namespace

int main(int argc, char** argv) {
  const pid_t chosen = argc == 2 ? number_in(argv[1]) : 0;
  if (chosen <= 0) return 125;
  constexpr int skipped = 77;
  if (compare_memory(chosen, getpid()) < 0) return skipped;
  std::vector<pid_t> sharers;
  for (const auto& folder : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = number_in(folder.path().filename());
    if (pid > 0 && compare_memory(chosen, pid) == 0) sharers.push_back(pid);
  }
  for (const pid_t pid : sharers) kill(pid, SIGSTOP);
  for (const pid_t pid : sharers) kill(pid, SIGKILL);
  std::printf("%zu\n", sharers.size());
}
