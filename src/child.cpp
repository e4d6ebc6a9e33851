#include "src/child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>

#include "src/error.hpp"

namespace memolock {
namespace {

bool has_terminal() {
  return static_cast<bool>(Descriptor(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)));
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

struct Plan {
  char* const* argv;
  char* const* environment;
  int out, err;
  bool lead_group;
  pid_t parent;
  const Signals* signals;
};

/// Runs in the child, in the parent's memory while the parent is stopped: system calls and execvpe
/// only.
[[noreturn]] void become(const Plan& plan, volatile int& error) {
  if (plan.lead_group) setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(128 + SIGKILL);  // it died before the line above took hold
  if (plan.out >= 0) dup2(plan.out, STDOUT_FILENO);
  if (plan.err >= 0) dup2(plan.err, STDERR_FILENO);
  plan.signals->restore();
  execvpe(plan.argv[0], plan.argv, plan.environment);
  error = errno;
  _exit(127);
}

/// vfork: a copy-on-write copy of this process would cost more the larger it is, and this stops the
/// caller only until the exec. Not inlined, so that the child's use of the stack stays out of the
/// caller's frame.
[[gnu::noinline]] pid_t start_process(const Plan& plan, volatile int& error) {
  const pid_t pid = vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) become(plan, error);
  return pid;
}

/// The watchdog's whole life: in the command's group (which keeps the group's number from being
/// used anew), without any descriptor but its end of the lifeline, deaf to every signal but KILL.
/// It wakes when this process has died, and takes the group with it; a byte tells it that the run
/// is over and it is not needed.
[[noreturn]] void watch_over(pid_t group, int lifeline) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  setpgid(0, group);
  dup2(lifeline, STDIN_FILENO);
  close_range(STDERR_FILENO + 1, ~0U, 0);
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
  char over = 0;
  ssize_t got = 0;
  do {
    got = read(STDIN_FILENO, &over, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 0) kill(-group, SIGKILL);
  _exit(0);
}

struct Process {
  pid_t parent = 0;
  char state = '?';
};

std::optional<Process> read_process(const std::filesystem::path& folder) {
  const Descriptor file(open((folder / "stat").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t size = file ? read(file.get(), text.data(), text.size() - 1) : -1;
  if (size <= 0) return std::nullopt;
  // "PID (NAME) STATE PARENT …", and a name may hold anything, ") " included.
  const char* end_of_name = strrchr(text.data(), ')');
  if (end_of_name == nullptr || strlen(end_of_name) < 5) return std::nullopt;
  return Process{static_cast<pid_t>(strtol(end_of_name + 4, nullptr, 10)), end_of_name[2]};
}

std::map<pid_t, Process> all_processes() {
  std::map<pid_t, Process> processes;
  std::error_code ignored;
  for (const auto& folder : std::filesystem::directory_iterator("/proc", ignored)) {
    const auto pid = static_cast<pid_t>(strtol(folder.path().filename().c_str(), nullptr, 10));
    if (pid <= 0) continue;
    if (const auto process = read_process(folder.path())) processes.emplace(pid, *process);
  }
  return processes;
}

std::vector<pid_t> own_children() {
  std::vector<pid_t> children;
  siginfo_t any{};
  // The usual answer, at the price of one call.
  if (waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT) != 0) return children;
  for (const auto& [pid, process] : all_processes())
    if (process.parent == getpid()) children.push_back(pid);
  return children;
}

}  // namespace

Child::Child(const ChildStart& start, const Signals& signals)
    : elders_(own_children()), leads_group_(!has_terminal()) {
  // Orphaned descendants come to this process, not to init, so that a signal can still find them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::vector<char*> argv = pointers(start.argv);
  const std::vector<char*> environment = pointers(start.environment);
  const Plan plan{argv.data(),  environment.data(), start.out, start.err,
                  leads_group_, getpid(),           &signals};
  volatile int error = 0;
  pid_ = start_process(plan, error);
  if (pid_ < 0) throw system_error("cannot start a process", errno);
  start_error_ = error;
}

Child::~Child() {
  let_go();
  if (watchdog_ > 0) waitpid(watchdog_, nullptr, 0);
}

void Child::let_go() {
  const char over = 1;
  if (lifeline_) (void)!write(lifeline_.get(), &over, 1);
  lifeline_.reset();
}

void Child::guard() {
  std::array<int, 2> lifeline{};
  // Without a watchdog (no descriptor or process to be had) the command still dies with this
  // process, only its descendants do not.
  if (!leads_group_ || pipe2(lifeline.data(), O_CLOEXEC) != 0) return;
  const Descriptor other_end(lifeline[0]);
  lifeline_.reset(lifeline[1]);
  watchdog_ = fork();
  if (watchdog_ == 0) watch_over(pid_, lifeline[0]);
}

std::vector<pid_t> Child::descendants() const {
  const std::map<pid_t, Process> processes = all_processes();
  // What else descends from this process has come from the command.
  const auto descends = [&](pid_t pid) {
    for (size_t depth = 0; pid > 1 && depth <= processes.size(); ++depth) {
      const auto found = processes.find(pid);
      const bool elder = std::find(elders_.begin(), elders_.end(), pid) != elders_.end();
      if (found == processes.end() || pid == watchdog_ || elder) return false;
      pid = found->second.parent;
      if (pid == getpid()) return true;
    }
    return false;
  };
  std::vector<pid_t> found;
  for (const auto& [pid, process] : processes)
    if (process.state != 'Z' && descends(pid)) found.push_back(pid);
  return found;
}

void Child::reap_orphans() const {
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    // These two have someone who waits for them; the command's end is what comes next then.
    if (ended.si_pid == pid_ || ended.si_pid == watchdog_) return;
    waitpid(ended.si_pid, nullptr, 0);
  }
}

bool Child::has_descendants() const { return !descendants().empty(); }

void Child::signal_all(int signal) const {
  const std::vector<pid_t> all = descendants();
  // The watchdog is in the group, so its number means this group and no later one.
  const bool by_group = leads_group_ && watchdog_ > 0;
  if (by_group) kill(-pid_, signal);
  for (const pid_t pid : all)
    if (!by_group || getpgid(pid) != pid_) kill(pid, signal);
}

}  // namespace memolock
