#include "src/command/child.hpp"

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
#include <utility>

#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/helper_process.hpp"
#include "src/system/inherited_children.hpp"
#include "src/system/process.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

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
  int in, out, err;
  bool lead_group;
  int lifeline;  // -1: no watchdog
  pid_t parent;
  const Signals* signals;
};

/// Puts `from` in the place of a stream; -1: leaves it. False, with errno set: it cannot.
bool redirect(int from, int stream) noexcept {
  return from < 0 || retry_syscall([&] { return dup2(from, stream); }) >= 0;
}

/// Runs in the child, in the parent's memory while the parent is stopped: system calls and execvpe
/// only.
[[noreturn]] void become(const Plan& plan, volatile int& error) {
  if (plan.lead_group) retry_syscall([] { return setpgid(0, 0); });
  const pid_t self = getpid();
  if (plan.lifeline >= 0) retry_syscall([&] { return write(plan.lifeline, &self, sizeof self); });
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!is_parent(plan.parent))
    _exit(exit_status::of_signal(SIGKILL));  // it died before the line above took hold
  if (redirect(plan.in, STDIN_FILENO) && redirect(plan.out, STDOUT_FILENO) &&
      redirect(plan.err, STDERR_FILENO)) {
    plan.signals->restore();
    execvpe(plan.argv[0], plan.argv, plan.environment);
  }
  error = errno;
  _exit(exit_status::not_found);
}

/// vfork: a copy-on-write copy of this process would cost more the larger it is, and this stops the
/// caller only until the exec. Not inlined, so that the child's use of the stack stays out of the
/// caller's frame.
[[gnu::noinline]] pid_t start_process(const Plan& plan, volatile int& error) {
  const pid_t pid = vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) become(plan, error);
  return pid;
}

/// As read(2), however long that fails.
ssize_t read_patiently(int from, void* into, size_t size) noexcept {
  for (;;) {
    const ssize_t got = read(from, into, size);
    if (got >= 0) return got;
    if (errno != EINTR) pause_briefly();
  }
}

/// What a watchdog needs to know.
struct Watch {
  int lifeline;
  const char* scratch_file;    // "": none
  const char* scratch_folder;  // "": none
};

/// The watchdog's whole life. The command says its number before it starts. When nobody has the
/// lifeline's other end any more, this process has died, and the watchdog takes the command's group
/// with it.
void watch_over(void* argument) {
  const auto& [lifeline, scratch_file, scratch_folder] = *static_cast<const Watch*>(argument);
  pid_t group = 0;
  char never = 0;
  // No number but a group's own: kill(-1) would mean every process there is.
  if (read_patiently(lifeline, &group, sizeof group) == static_cast<ssize_t>(sizeof group) &&
      group > 1 && read_patiently(lifeline, &never, 1) == 0) {
    // First, for it is in the group itself.
    if (*scratch_file != '\0') unlink(scratch_file);
    if (*scratch_folder != '\0') rmdir(scratch_folder);
    retry_syscall([&] { return kill(-group, SIGKILL); });
  }
}

pid_t start_watchdog(int lifeline, const CleanupPath& scratch) {
  const std::array kept{lifeline};
  Watch watch{lifeline, scratch.path.c_str(), scratch.directory.c_str()};
  return start_helper_process(watch_over, &watch, kept);
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

/// " (NAME)"; nothing where that cannot be had.
std::string name_of(pid_t pid) {
  const Descriptor file(
      open(("/proc/" + std::to_string(pid) + "/comm").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t size = file ? read(file.get(), text.data(), text.size()) : -1;
  // It ends with a newline.
  return size <= 1 ? "" : " (" + std::string(text.data(), static_cast<size_t>(size) - 1) + ")";
}

std::map<pid_t, Process> all_processes() {
  std::map<pid_t, Process> processes;
  // The /proc of another process namespace has other numbers.
  std::array<char, 32> self{};
  const ssize_t size = readlink("/proc/self", self.data(), self.size() - 1);
  if (size <= 0 || strtol(self.data(), nullptr, 10) != getpid()) return processes;
  std::error_code ignored;
  for (const auto& folder : std::filesystem::directory_iterator("/proc", ignored)) {
    const auto pid = static_cast<pid_t>(strtol(folder.path().filename().c_str(), nullptr, 10));
    if (pid <= 0) continue;
    if (const auto process = read_process(folder.path())) processes.emplace(pid, *process);
  }
  return processes;
}

}  // namespace

int replace_process(const ChildStart& start, const Signals& signals) {
  const std::vector<char*> argv = pointers(start.argv);
  const std::vector<char*> environment = pointers(start.environment);
  if (redirect(start.in, STDIN_FILENO)) {
    signals.discard_write_signals();
    signals.restore();
    execvpe(argv[0], argv.data(), environment.data());
  }
  return errno;
}

Watchdog::~Watchdog() {
  end();
  if (ended_) retry_syscall([&] { return waitpid(pid_, nullptr, 0); });
}

void Watchdog::start(const CleanupPath& scratch) noexcept {
  std::array<int, 2> lifeline{};
  if (pipe2(lifeline.data(), O_CLOEXEC) != 0) return;
  other_end_.reset(lifeline[0]);
  lifeline_.reset(lifeline[1]);
  pid_ = start_watchdog(lifeline[0], scratch);
  if (pid_ < 0) lifeline_.reset();
}

void Watchdog::join(pid_t group) noexcept {
  other_end_.reset();
  // In the group, it keeps the group's number from being used anew.
  if (is_there()) retry_syscall([&] { return setpgid(pid_, group); });
}

void Watchdog::end() noexcept {
  if (is_there() && !ended_) ended_ = retry_syscall([&] { return kill(pid_, SIGKILL); }) == 0;
}

Child::Child(const ChildStart& start, Signals& signals)
    : leads_group_(!has_controlling_terminal()) {
  if (has_inherited_children()) throw system_error("cannot start a process", EAGAIN);
  // Orphaned descendants come to this process, not to init, so that a signal can still find them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::vector<char*> argv = pointers(start.argv);
  const std::vector<char*> environment = pointers(start.environment);
  // Here, for it copies this process's memory, which is still small.
  if (leads_group_ && !next_process_begins_namespace()) watchdog_.start(start.scratch);
  if (!watchdog_.is_there()) signals.take_all_fatal();
  const Plan plan{argv.data(),  environment.data(),   start.in, start.out, start.err,
                  leads_group_, watchdog_.lifeline(), getpid(), &signals};
  volatile int error = 0;
  pid_ = start_process(plan, error);
  if (pid_ < 0) {
    const int no_process = errno;
    prctl(PR_SET_CHILD_SUBREAPER, 0);  // who becomes the command instead does not reap orphans
    throw system_error("cannot start a process", no_process);
  }
  start_error_ = error;
  watchdog_.join(pid_);
}

std::vector<pid_t> Child::descendants() const noexcept {
  std::vector<pid_t> found;
  // Without memory only the group, and the child itself, can be told.
  (void)failure_of([&] { found = find_descendants(); });
  return found;
}

std::vector<pid_t> Child::find_descendants() const {
  const std::map<pid_t, Process> processes = all_processes();
  // What else descends from this process has come from the command.
  const auto descends = [&](pid_t pid) {
    for (size_t depth = 0; pid > 1 && depth <= processes.size(); ++depth) {
      const auto found = processes.find(pid);
      if (found == processes.end() || pid == watchdog_.pid()) return false;
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

void Child::reap_orphans() noexcept {
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    // Someone waits for it, and its end is what comes next.
    if (ended.si_pid == pid_) return;
    if (waitpid(ended.si_pid, nullptr, 0) == watchdog_.pid()) watchdog_.note_reaped();
  }
}

bool Child::may_be_signalled() const noexcept {
  return reaped_ || kill(pid_, 0) == 0 || errno != EPERM;
}

Child::Left Child::left() const noexcept {
  Left left = Left::nothing;
  const auto count = [&](bool may_be_killed) {
    if (left != Left::some) left = may_be_killed ? Left::some : Left::others_only;
  };
  if (!reaped_) count(may_be_signalled());  // also where there is no /proc to find it in
  for (const pid_t pid : descendants()) count(kill(pid, 0) == 0 || errno != EPERM);
  return left;
}

std::string Child::name_those_left() const {
  constexpr size_t most = 10;
  std::vector<pid_t> pids = find_descendants();
  if (pids.empty() && !reaped_) pids.push_back(pid_);
  const size_t all = pids.size();
  pids.resize(std::min(all, most));
  std::string names;
  for (const pid_t pid : pids)
    names += (names.empty() ? "" : ", ") + std::to_string(pid) + name_of(pid);
  return all > most ? names + ", …" : names;
}

void Child::signal_all(int signal, Reach reach) const noexcept {
  const std::vector<pid_t> all = descendants();
  // The watchdog is in the group, so its number means this group and no later one.
  const bool by_group = leads_group_ && watchdog_.is_there() && !watchdog_.has_ended();
  if (by_group) {
    kill(-pid_, signal);
  } else if (!reaped_ && reach == Reach::all) {
    kill(pid_, signal);  // also where there is no /proc to find it in
  }
  const pid_t own_group = getpgrp();
  for (const pid_t pid : all) {
    const pid_t group = getpgid(pid);
    const bool told = by_group ? group == pid_ : pid == pid_ && reach == Reach::all;
    if (!told && (reach == Reach::all || group != own_group)) kill(pid, signal);
  }
}

}  // namespace memolock
