#include "src/command/run_loop.hpp"

#define BOOST_PROCESS_V2_HEADER_ONLY 1
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/process/v2/process.hpp>  // exit_code.hpp alone does not compile in 1.81

#include "src/command/poll_events.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

// A run is long if it takes at least this long (CommandSpec::on_long_run).
constexpr std::chrono::milliseconds long_run{20};

/// A duplicate that stays open as long as it is needed. Throws Error(store).
Descriptor duplicate(int fd) {
  Descriptor copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw system_error("cannot monitor a command", errno);
  return copy;
}

/// Boost.Process decodes the status of a process. Its launchers and handles are not used: they
/// require an event loop that allocates after the start of the command, and so may fail.
void set_exit(RunResult& result, int native_status) {
  const bool is_signaled = WIFSIGNALED(native_status);
  result.exit_kind = is_signaled ? ExitKind::signaled : ExitKind::exited;
  const int code = boost::process::v2::evaluate_exit_code(native_status);
  result.status = is_signaled ? exit_status::of_signal(code) : code;
}

void set_signaled(RunResult& result, int signal) noexcept {
  result.exit_kind = ExitKind::signaled;
  result.status = exit_status::of_signal(signal);
}

}  // namespace

RunLoop::RunLoop(Signals& signals, int stop_descriptor)
    : signals_(signals),
      children_(signals.watch_children()),
      stop_descriptor_(stop_descriptor < 0 ? Descriptor() : duplicate(stop_descriptor)),
      output_([this] { end_output_sharing(); }) {}

void RunLoop::run_to_end(Child& child, const CommandSpec& spec, FunctionRef<void> refused,
                         RunResult& result) noexcept {
  child_ = &child;
  termination_.set_child(child);
  refused_ = refused;
  output_.close_write_ends();
  // Older kernels and some containers do not support pidfds. There, SIGCHLD has to suffice.
  process_.reset(static_cast<int>(syscall(SYS_pidfd_open, child.pid(), 0)));
  const Nanoseconds now = awake_now();
  drain_limit_ = spec.drain;
  if (spec.max_runtime) runtime_deadline_ = after(now, *spec.max_runtime);
  if (spec.on_long_run) long_run_at_ = now + long_run;
  while (!is_over()) {
    handle_events();
    handle_deadlines(spec);
  }
  refused_ = nullptr;
  describe_end(result);
}

bool RunLoop::is_over() const noexcept {
  return termination_.has_given_up() ||
         (exited_ && output_.open_count() == 0 && !termination_.is_active());
}

Termination::RunState RunLoop::state() const noexcept {
  return {.has_exited = exited_,
          .open_pipes = output_.open_count(),
          .relayed_pipes = output_.relayed_count(),
          .is_progressing = false};
}

void RunLoop::describe_end(RunResult& result) noexcept {
  set_exit(result, native_status_);
  result.unknown = status_unknown_;
  if (status_unknown_) result.status = exit_status::own_error;
  result.interrupt_signal = signal_;
  result.stopped_on_request = stopped_;
  result.left_running = termination_.take_remaining();
  result.drain_briefly = signal_ != 0 || ((timed_out_ || stopped_) && output_.relayed_count() > 0);
  // A command that could not be killed gets the status of the signal that was sent to end it.
  if (!exited_ && signal_ == 0) set_signaled(result, SIGTERM);
  const bool has_own_status = exited_ && !was_output_cut_off_ && !is_signal_fatal_;
  if (signal_ != 0 && !has_own_status) set_signaled(result, signal_);
  if (timed_out_ && !is_signal_fatal_) {
    result.exit_kind = ExitKind::timed_out;
    result.status = exit_status::timed_out;
  }
}

/// Sleeps until there is an event, and handles it. If the kernel cannot report events, or an
/// operation fails, everything is tried again soon. Handling events never blocks.
void RunLoop::handle_events() noexcept {
  std::array<pollfd, 8> waiting{readable(signals_.descriptor()),  readable(children_.get()),
                                readable(process_.get()),         readable(stop_descriptor_.get()),
                                output_.source(Stream::out),      output_.source(Stream::err),
                                output_.destination(Stream::out), output_.destination(Stream::err)};
  const bool retry = output_.take_retry() || must_retry_;
  must_retry_ = false;
  if (retry) pause_briefly();
  const int ready = poll_for(waiting, retry ? Nanoseconds(0) : time_until_next_deadline());
  const bool failed = ready < 0 && errno != EINTR;
  if (failed) pause_briefly();
  const auto is_ready = [&](size_t which) { return ready > 0 && waiting.at(which).revents != 0; };
  const auto may_be_ready = [&](size_t which) { return retry || failed || is_ready(which); };
  const int open_before = output_.open_count();
  if (may_be_ready(0)) handle_signals();
  if (is_ready(3)) stop_on_request();
  if (is_ready(6)) output_.write(Stream::out);
  if (is_ready(7)) output_.write(Stream::err);
  if (may_be_ready(4)) output_.read(Stream::out);
  if (may_be_ready(5)) output_.read(Stream::err);
  if (output_.open_count() < open_before) termination_.check_soon();
  if (may_be_ready(1) || may_be_ready(2)) reap_children();
}

/// The deadlines of the pipes are ignored while the rest of the command's processes are being
/// stopped.
Nanoseconds RunLoop::time_until_next_deadline() const noexcept {
  const Nanoseconds output = termination_.is_active() ? forever : output_.next_deadline();
  const Nanoseconds next = std::min(
      {runtime_deadline_, long_run_at_, termination_.next_check(), output});
  return next == forever ? forever : next - awake_now();
}

void RunLoop::handle_deadlines(const CommandSpec& spec) noexcept {
  if (is_over()) return;
  const Nanoseconds now = awake_now();
  if (now >= long_run_at_) {
    long_run_at_ = forever;
    (void)failure_of(spec.on_long_run);
  }
  if (now >= runtime_deadline_) {
    runtime_deadline_ = forever;
    timed_out_ = true;
    termination_.stop();
  }
  if (now >= termination_.next_check()) {
    Termination::RunState checked = state();
    checked.is_progressing = output_.take_progress();
    termination_.check(checked);
  }
  if (!termination_.is_active()) output_.set_aside_overdue(now);
}

void RunLoop::handle_signals() noexcept {
  while (const auto signal = signals_.next()) {
    if (signal->is_forwarded) {
      pass_on(*signal);
    } else {
      die_with_command(signal->number);
    }
  }
}

void RunLoop::pass_on(const Signals::Received& signal) noexcept {
  if (signal_ == 0) {
    signal_ = signal.number;
    was_output_cut_off_ = exited_;
  }
  // If the signal comes from a key such as Ctrl-C, the terminal has already sent it to the command
  // if that is in this process's group, and many programs interpret a second one as a request to
  // end immediately. A terminal that hangs up signals only the session leader.
  const bool has_got_it = signal.from_terminal && signal.number != SIGHUP && !child_->leads_group();
  child_->signal_all(signal.number,
                     has_got_it ? Child::Recipients::outside_own_group : Child::Recipients::all);
  if (!has_got_it) child_->signal_all(SIGCONT);
  if (exited_) termination_.stop_descendants(state());
  // A command that this process is not permitted to signal may never end.
  if (!has_got_it && !child_->can_be_signalled()) termination_.kill_after_grace();
}

/// Handles a signal that is not forwarded but would end this process: without a watchdog, nothing
/// else would end the command.
void RunLoop::die_with_command(int signal) noexcept {
  is_signal_fatal_ = true;
  signal_ = signal;
  termination_.kill();
}

void RunLoop::stop_on_request() noexcept {
  stop_descriptor_.reset();
  stopped_ = true;
  termination_.stop();
}

void RunLoop::reap_children() noexcept {
  signalfd_siginfo info{};
  while (read(children_.get(), &info, sizeof info) > 0) {
  }
  int status = 0;
  if (!exited_) {
    const pid_t reaped = waitpid(child_->pid(), &status, WNOHANG);
    if (reaped == child_->pid()) note_exit(status);
    if (reaped < 0) note_lost_child(errno);
  }
  child_->reap_orphans();
  termination_.check_soon();
}

/// ECHILD means that the command is no longer a child of this process: a tracer, or a library in
/// this process that waits for any child, has reaped it, and its status is lost.
void RunLoop::note_lost_child(int error) noexcept {
  must_retry_ = true;
  if (error != ECHILD) return;
  status_unknown_ = true;
  note_exit(0);
}

void RunLoop::note_exit(int native_status) noexcept {
  native_status_ = native_status;
  exited_ = true;
  process_.reset();
  child_->note_reaped();
  // Background processes of the command continue to run, unless everything was to be stopped.
  if (signal_ != 0) termination_.stop_descendants(state());
  output_.command_exited(std::min(after(awake_now(), drain_limit_), runtime_deadline_));
  runtime_deadline_ = forever;
}

/// From now on the output is not shared, so losing the lease no longer matters.
void RunLoop::end_output_sharing() noexcept {
  if (refused_) (void)failure_of(refused_);
  stop_descriptor_.reset();
}

}  // namespace memolock
