#include "src/command/child.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "src/command/process_table.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
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

/// The data that the child needs between vfork and exec.
struct ExecPlan {
  char* const* argv;
  char* const* environment;
  int in, out, err;
  bool leads_group;
  int lifeline;  // -1: no watchdog
  pid_t parent;
  const Signals* signals;
};

/// Makes `stream` a duplicate of `from`; if that is -1, does nothing. Returns false, with errno
/// set, on failure.
bool redirect(int from, int stream) noexcept {
  return from < 0 || retry_syscall([&] { return dup2(from, stream); }) >= 0;
}

/// Runs in the child, which shares the parent's memory while the parent is suspended: only system
/// calls and execvpe are permitted.
[[noreturn]] void exec_in_child(const ExecPlan& plan, volatile int& error) {
  if (plan.leads_group) retry_syscall([] { return setpgid(0, 0); });
  const pid_t self = getpid();
  if (plan.lifeline >= 0) retry_syscall([&] { return write(plan.lifeline, &self, sizeof self); });
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!is_parent(plan.parent)) _exit(exit_status::of_signal(SIGKILL));  // died before prctl
  if (redirect(plan.in, STDIN_FILENO) && redirect(plan.out, STDOUT_FILENO) &&
      redirect(plan.err, STDERR_FILENO)) {
    plan.signals->restore();
    execvpe(plan.argv[0], plan.argv, plan.environment);
  }
  error = errno;
  _exit(exit_status::not_found);
}

/// Uses vfork, because the cost of fork grows with the size of this process. vfork suspends the
/// caller until the exec. Not inlined, so that the child does not overwrite the caller's stack
/// frame.
[[gnu::noinline]] pid_t start_process(const ExecPlan& plan, volatile int& error) {
  const pid_t pid = vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (pid == 0) exec_in_child(plan, error);
  return pid;
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

Child::Child(const ChildStart& start, Signals& signals)
    : leads_group_(!has_controlling_terminal()) {
  if (has_inherited_children()) throw system_error("cannot start a process", EAGAIN);
  // Orphaned descendants become children of this process, not of init, so that it can find them.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::vector<char*> argv = pointers(start.argv);
  const std::vector<char*> environment = pointers(start.environment);
  // Started early, because it copies the memory of this process, which is still small now.
  if (leads_group_ && !next_process_begins_namespace()) watchdog_.start(start.cleanup);
  if (!watchdog_.is_running()) signals.receive_all_fatal_signals();
  const ExecPlan plan{argv.data(),  environment.data(),   start.in, start.out, start.err,
                      leads_group_, watchdog_.lifeline(), getpid(), &signals};
  volatile int error = 0;
  pid_ = start_process(plan, error);
  if (pid_ < 0) {
    const int no_process = errno;
    // This process may become the command, which does not reap orphans.
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    throw system_error("cannot start a process", no_process);
  }
  start_error_ = error;
  watchdog_.join(pid_);
}

std::vector<pid_t> Child::descendants() const noexcept {
  std::vector<pid_t> found;
  // If memory runs out, only the group and the child itself get signals.
  (void)failure_of([&] { found = find_descendants(); });
  return found;
}

std::vector<pid_t> Child::find_descendants() const {
  const std::map<pid_t, ProcessInfo> processes = all_processes();
  // Apart from the watchdog, all descendants of this process descend from the command.
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
    // The event loop reaps the child itself.
    if (ended.si_pid == pid_) return;
    if (waitpid(ended.si_pid, nullptr, 0) == watchdog_.pid()) watchdog_.note_reaped();
  }
}

bool Child::can_be_signalled() const noexcept {
  return reaped_ || kill(pid_, 0) == 0 || errno != EPERM;
}

Child::Remaining Child::remaining() const noexcept {
  Remaining remaining = Remaining::none;
  const auto add = [&](bool can_be_killed) {
    if (remaining != Remaining::some)
      remaining = can_be_killed ? Remaining::some : Remaining::of_other_users;
  };
  if (!reaped_) add(can_be_signalled());  // without /proc it is not among the descendants
  for (const pid_t pid : descendants()) add(kill(pid, 0) == 0 || errno != EPERM);
  return remaining;
}

std::string Child::describe_remaining() const {
  constexpr size_t most = 10;
  std::vector<pid_t> pids = find_descendants();
  if (pids.empty() && !reaped_) pids.push_back(pid_);
  const size_t all = pids.size();
  pids.resize(std::min(all, most));
  std::string names;
  for (const pid_t pid : pids) {
    const std::string name = process_name(pid);
    names += (names.empty() ? "" : ", ") + std::to_string(pid);
    if (!name.empty()) names += " (" + name + ')';
  }
  return all > most ? names + ", …" : names;
}

void Child::signal_all(int signal, Recipients recipients) const noexcept {
  const std::vector<pid_t> all = descendants();
  // As long as the watchdog is in the group, the group's id is not reused.
  const bool by_group = leads_group_ && watchdog_.is_running() && !watchdog_.has_ended();
  if (by_group) {
    kill(-pid_, signal);
  } else if (!reaped_ && recipients == Recipients::all) {
    kill(pid_, signal);  // without /proc it is not among the descendants
  }
  const pid_t own_group = getpgrp();
  for (const pid_t pid : all) {
    const pid_t group = getpgid(pid);
    const bool has_got_it = by_group ? group == pid_ : pid == pid_ && recipients == Recipients::all;
    if (!has_got_it && (recipients == Recipients::all || group != own_group)) kill(pid, signal);
  }
}

}  // namespace memolock
