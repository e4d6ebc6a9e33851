#include "src/command/command.hpp"

#define BOOST_PROCESS_V2_HEADER_ONLY 1
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <span>
#include <utility>

#include <boost/process/v2/process.hpp>  // exit_code.hpp alone does not compile in 1.81
#include <fmt/format.h>

#include "src/command/child.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/message.hpp"
#include "src/system/retry_syscall.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

// What a command that was told to stop has left to clean up before it is killed.
constexpr std::chrono::seconds kill_grace{10};
// And what a killed one has to be gone.
constexpr std::chrono::seconds give_up{2};
// How long the end of stderr is waited for, which `$(…)` does not read: for those who still write
// to it at the command's end, or at that of its stdout.
constexpr std::chrono::milliseconds err_patience{100};
// Between two looks whether they are gone.
constexpr Nanoseconds first_pause = std::chrono::milliseconds(20);
constexpr Nanoseconds last_pause = std::chrono::seconds(1);
// How long a pipe may fail to be read without a break before its rest is given up.
constexpr std::chrono::seconds read_patience{10};
// What a short output needs, without a mapping of its own, and what a large one gets.
constexpr size_t first_read_size = 32U << 10;
constexpr size_t large_read_size = 256U << 10;
constexpr int large_pipe = 1 << 20;

int status_not_started(int error) {
  return error == ENOENT ? exit_status::not_found : exit_status::cannot_run;
}

/// Boost.Process says what the status of a process means. Its launchers and handles are not used:
/// they need an event loop that allocates, and so may fail, once the command has started.
void set_outcome(RunResult& ending, int native_status) {
  const bool is_signaled = WIFSIGNALED(native_status);
  ending.exit_kind = is_signaled ? ExitKind::signaled : ExitKind::exited;
  const int code = boost::process::v2::evaluate_exit_code(native_status);
  ending.status = is_signaled ? exit_status::of_signal(code) : code;
}

constexpr std::string_view line_of_unknown =
    "memolock: the exit status of the command is not known: another process took it\n";

pollfd readable(int fd) { return {.fd = fd, .events = POLLIN, .revents = 0}; }

/// That `forwarder`, if there is one, can write on in this thread.
pollfd writable(const std::shared_ptr<OutputForwarder>& forwarder) {
  return {.fd = forwarder ? forwarder->waits_for() : -1, .events = POLLOUT, .revents = 0};
}

/// The same file, open as long as it is needed here. Throws Error(store).
Descriptor duplicate(int fd) {
  Descriptor copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw system_error("cannot watch a command", errno);
  return copy;
}

/// A pipe for the command to write to, which is read without blocking.
Pipe make_output_pipe() {
  Pipe pipe = make_pipe();
  if (fcntl(pipe.read_end.get(), F_SETFL, O_NONBLOCK) != 0)
    throw system_error("cannot make a pipe", errno);
  return pipe;
}

/// Closes the end of `pipe` that is the command's now. While it is open here, the output never
/// ends, so make sure that it was closed.
void close_write_end(Pipe& pipe) noexcept {
  if (!pipe.write_end) return;
  struct stat mine {};
  struct stat left {};
  const int fd = pipe.write_end.release();
  retry_syscall([&] {
    if (close(fd) == 0 || errno == EBADF) return 0;
    const int error = errno;
    const bool is_closed = fstat(pipe.read_end.get(), &mine) == 0 && fstat(fd, &left) != 0;
    // The ends of a pipe have one number; another thread may have got this descriptor by now.
    if (is_closed || mine.st_ino != left.st_ino || mine.st_dev != left.st_dev) return 0;
    errno = error;
    return -1;
  });
}

/// Whether all has been read from a pipe that nobody can write to any more.
bool has_ended(const Descriptor& pipe) noexcept {
  std::array<pollfd, 1> end{readable(pipe.get())};
  return poll_for(end, Nanoseconds(0)) == 1 && end[0].revents == POLLHUP;
}

}  // namespace

/// One run of a child: the only place with an event loop. It ends when the child has been reaped,
/// its pipes are at their end or not waited for any longer, and nothing that must not be left
/// behind is left.
///
/// All that it needs is made before the child is started. From then on it allocates nothing that
/// it cannot do without, and what the kernel could not do is tried again.
class Run {
 public:
  /// Stops the command when `stop` becomes readable; -1: none. Throws Error(store).
  Run(Signals& signals, int stop)
      : signals_(signals),
        children_(signals.watch_children()),
        stop_(stop < 0 ? Descriptor() : duplicate(stop)) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Makes a pipe that is to be read to its end into `spool` and `forwarder`; past a refusal the
  /// forwarder reads on by itself. Returns the end for the command, open until run_to_end(). Throws
  /// Error(store).
  [[nodiscard]] int pump(Stream stream, std::shared_ptr<Spool> spool,
                         std::shared_ptr<OutputForwarder> forwarder) {
    Pump& pump = pump_of(stream);
    pump.next.bytes = std::make_unique_for_overwrite<char[]>(first_read_size);
    pump.next.capacity = first_read_size;
    pump.stream = stream;
    pump.spool = std::move(spool);
    pump.forwarder = std::move(forwarder);
    pump.pipe = make_output_pipe();
    ++open_pipes_;
    return pump.pipe.write_end.get();
  }

  [[nodiscard]] int read_error() const { return read_error_; }

  /// After run_to_end(): a pipe whose end was not waited for; else none.
  [[nodiscard]] Descriptor take_late(Stream stream) noexcept {
    Pump& pump = pump_of(stream);
    pump.next.bytes.reset();  // or a process that passes the rest on would have a copy
    return std::move(pump.late);
  }

  void see_through(Child& child, const CommandSpec& launch, const std::function<void()>& refused,
                   RunResult& ending) noexcept {
    child_ = &child;
    refused_ = &refused;
    for (Pump& pump : pumps_) close_write_end(pump.pipe);
    // Older kernels, and some containers, have none: there SIGCHLD has to do.
    process_.reset(static_cast<int>(syscall(SYS_pidfd_open, child.pid(), 0)));
    const Nanoseconds now = awake_now();
    drain_ = launch.drain;
    if (launch.max_runtime) limit_ = after(now, *launch.max_runtime);
    if (launch.on_long_run) moment_ = now + std::chrono::milliseconds(20);
    while (!is_over()) {
      await_events();
      watch_clock(launch);
    }
    set_outcome(ending, native_status_);
    ending.unknown = unknown_;
    if (unknown_) ending.status = exit_status::own_error;
    ending.interrupted = interrupted_;
    ending.stopped = stopped_;
    ending.left_running = std::move(left_running_);
    ending.cut_short = interrupted_ != 0 || ((timed_out_ || stopped_) && relays_ > 0);
    // Of a command that could not be killed, what was to end it.
    if (!exited_ && interrupted_ == 0) end_by(SIGTERM, ending);
    const bool has_own_status = exited_ && !cut_off_ && !fatal_;
    if (interrupted_ != 0 && !has_own_status) end_by(interrupted_, ending);
    if (timed_out_ && !fatal_) {
      ending.exit_kind = ExitKind::timed_out;
      ending.status = exit_status::timed_out;
    }
  }

 private:
  struct Pump {
    Stream stream = Stream::out;
    Pipe pipe;  // without a read end: closed, or the forwarder has it
    bool relayed = false;
    bool is_passing = false;  // the forwarder, which has no thread, has what was read last
    std::shared_ptr<Spool> spool;
    std::shared_ptr<OutputForwarder> forwarder;
    Chunk next;
    Nanoseconds failing_since = forever;
    Nanoseconds until = forever;  // of awake_now(): is waited for, once the command has exited
    bool set_aside = false;
    Descriptor late;  // the read end, set aside before it was at its end
  };

  [[nodiscard]] Pump& pump_of(Stream stream) { return pumps_.at(static_cast<size_t>(stream)); }

  static void end_by(int signal, RunResult& ending) noexcept {
    ending.exit_kind = ExitKind::signaled;
    ending.status = exit_status::of_signal(signal);
  }

  [[nodiscard]] bool is_over() const {
    return left_ || (exited_ && open_pipes_ == 0 && !stopping_);
  }

  /// Sleeps until something has happened, and does what there is to do about it. A kernel that
  /// cannot say what has happened, or could not do it, is soon asked again; all is tried then, for
  /// nothing here blocks.
  void await_events() noexcept {
    std::array<pollfd, 8> waiting{
        readable(signals_.descriptor()), readable(children_.get()),    readable(process_.get()),
        readable(stop_.get()),           source_of(pumps_[0]),         source_of(pumps_[1]),
        writable(pumps_[0].forwarder),   writable(pumps_[1].forwarder)};
    const bool again = std::exchange(again_, false);
    if (again) pause_briefly();
    const int ready = poll_for(waiting, again ? Nanoseconds(0) : time_left());
    const bool blind = ready < 0 && errno != EINTR;
    if (blind) pause_briefly();
    const auto has_come = [&](size_t which) {
      return again || blind || (ready > 0 && waiting.at(which).revents != 0);
    };
    if (has_come(0)) take_signals();
    if (ready > 0 && waiting[3].revents != 0) obey_stop();
    if (ready > 0 && waiting[6].revents != 0) write_from(pumps_[0]);
    if (ready > 0 && waiting[7].revents != 0) write_from(pumps_[1]);
    if (has_come(4)) look_at(pumps_[0]);
    if (has_come(5)) look_at(pumps_[1]);
    if (has_come(1) || has_come(2)) look_at_children();
  }

  [[nodiscard]] static pollfd source_of(const Pump& pump) {
    if (pump.is_passing) return readable(-1);
    return readable(pump.relayed ? pump.forwarder->notice_descriptor() : pump.pipe.read_end.get());
  }

  [[nodiscard]] Nanoseconds time_left() const {
    const Nanoseconds next = std::min(
        {limit_, moment_, look_again_, end_of_patience(pumps_[0]), end_of_patience(pumps_[1])});
    return next == forever ? forever : next - awake_now();
  }

  [[nodiscard]] static bool is_open(const Pump& pump) { return pump.pipe.read_end || pump.relayed; }

  /// When a pipe that is open is set aside; of awake_now(). None is while the command runs or what
  /// it has left is being stopped, nor is that of stderr while stdout goes on.
  [[nodiscard]] Nanoseconds end_of_patience(const Pump& pump) const {
    const bool in_time = !exited_ || stopping_ || !is_open(pump) || pump.is_passing ||
                         pump.set_aside;
    const bool goes_on = pump.stream == Stream::err && is_open(pumps_[0]);
    return in_time || goes_on ? forever : pump.until;
  }

  void watch_clock(const CommandSpec& launch) noexcept {
    if (is_over()) return;
    const Nanoseconds now = awake_now();
    if (now >= moment_) {
      moment_ = forever;
      (void)failure_of(launch.on_long_run);
    }
    if (now >= limit_) {
      limit_ = forever;
      timed_out_ = true;
      stop();
    }
    if (now >= look_again_) watch_the_rest();
    for (Pump& pump : pumps_)
      if (now >= end_of_patience(pump)) set_aside(pump);
  }

  /// What is there by now is part of the run; where a forwarder has the pipe, or the last piece,
  /// that is passed on first.
  void set_aside(Pump& pump) noexcept {
    if (pump.pipe.read_end) read_what_is_there(pump);
    if (pump.is_passing) return;
    pump.set_aside = true;
    if (pump.relayed) pump.forwarder->stop_relay();
    if (pump.pipe.read_end) end(pump, std::move(pump.pipe.read_end));
  }

  void look_at(Pump& pump) noexcept {
    if (pump.relayed) {
      pump.forwarder->take_notice();
      if (!pump.forwarder->relayed()) return;
      pump.relayed = false;
      --relays_;
      end(pump, pump.forwarder->take_back());
    } else if (pump.pipe.read_end && !pump.is_passing) {
      (void)read_from(pump);
    }
  }

  /// One read more than what was there sees the end.
  void read_what_is_there(Pump& pump) noexcept {
    for (ssize_t left = bytes_available(pump.pipe.read_end.get());
         pump.pipe.read_end && left >= 0;) {
      const ssize_t got = read_from(pump);
      if (got < 0 || pump.is_passing) return;
      left -= got;
    }
  }

  /// Returns what read(2) has returned.
  ssize_t read_from(Pump& pump) noexcept {
    const ssize_t got = read(pump.pipe.read_end.get(), pump.next.bytes.get(), pump.next.capacity);
    if (got < 0) {
      miss(pump, errno);
      return got;
    }
    pump.failing_since = forever;
    pump.next.size = static_cast<size_t>(got);
    if (got == 0) {
      close(pump);
    } else {
      take(pump);
    }
    return got;
  }

  /// What cannot be read is not the end of the output, but without it the output is not whole.
  void miss(Pump& pump, int error) noexcept {
    if (error == EAGAIN || error == EINTR) return;
    pump.spool->miss(error);
    refuse();
    again_ = true;
    const Nanoseconds now = awake_now();
    pump.failing_since = std::min(pump.failing_since, now);
    if (now < pump.failing_since + read_patience) return;
    read_error_ = error;
    close(pump);
  }

  void take(Pump& pump) noexcept {
    if (pump.spool->append(pump.stream, {pump.next.bytes.get(), pump.next.size})) {
      pump.forwarder->advance(pump.spool->size(pump.stream));
      if (pump.next.size == first_read_size) grow(pump);
      return;
    }
    refuse();
    pass_by(pump);
  }

  /// As far as there is memory.
  static void grow(Pump& pump) noexcept {
    if (pump.next.capacity == large_read_size) return;
    std::unique_ptr<char[]> large(new (std::nothrow) char[large_read_size]);
    if (!large) return;
    fcntl(pump.pipe.read_end.get(), F_SETPIPE_SZ, large_pipe);
    pump.next.bytes = std::move(large);
    pump.next.capacity = large_read_size;
  }

  /// The run is not shared any more, nor is it tied to a lease.
  void refuse() noexcept {
    if (std::exchange(unshared_, true)) return;
    (void)failure_of(*refused_);
    stop_.reset();
  }

  /// Hands the pipe over to the forwarder, which says when it is done; without its thread each
  /// piece, and the next is read when that has been written.
  void pass_by(Pump& pump) noexcept {
    if (pump.forwarder->relay(pump.next, pump.pipe.read_end)) {
      pump.relayed = true;
      ++relays_;
    } else if (pump.forwarder->pass({pump.next.bytes.get(), pump.next.size})) {
      pump.is_passing = true;
      ++relays_;
    } else {
      close(pump);
    }
  }

  void write_from(Pump& pump) noexcept {
    pump.forwarder->write_some();
    has_written_ = true;
    if (!pump.is_passing || pump.forwarder->waits_for() >= 0) return;
    pump.is_passing = false;
    --relays_;
  }

  void close(Pump& pump) noexcept {
    pump.pipe.read_end.reset();
    end(pump, {});
  }

  void end(Pump& pump, Descriptor late) noexcept {
    --open_pipes_;
    pump.late = std::move(late);
    // A process that holds both streams closes stdout first.
    if (exited_ && pump.stream == Stream::out && !pump.late)
      pump_of(Stream::err).until = after(awake_now(), err_patience);
    something_ended();
  }

  void take_signals() noexcept {
    while (const auto received = signals_.next()) interrupt(*received);
  }

  void obey_stop() noexcept {
    stop_.reset();
    stopped_ = true;
    stop();
  }

  void look_at_children() noexcept {
    signalfd_siginfo info{};
    while (read(children_.get(), &info, sizeof info) > 0) {
    }
    int status = 0;
    if (!exited_) {
      const pid_t reaped = waitpid(child_->pid(), &status, WNOHANG);
      if (reaped == child_->pid()) command_ended(status);
      if (reaped < 0) lose_sight(errno);
    }
    child_->reap_orphans();
    something_ended();
  }

  /// A command that is no child of this process any more, by what another has done in its name
  /// (a tracer, a library that waits for any child), has ended in a way that nobody can tell.
  void lose_sight(int error) noexcept {
    again_ = true;
    if (error != ECHILD) return;
    unknown_ = true;
    command_ended(0);
  }

  void command_ended(int native_status) noexcept {
    native_status_ = native_status;
    exited_ = true;
    process_.reset();
    child_->note_reaped();
    // What it left running in the background is its own affair, unless it was to be stopped as a
    // whole.
    if (interrupted_ != 0) stop_the_rest();
    const Nanoseconds now = awake_now();
    pump_of(Stream::out).until = std::min(after(now, drain_), limit_);
    pump_of(Stream::err).until = after(now, err_patience);
    limit_ = forever;  // it has kept it
  }

  void interrupt(const Signals::Received& received) noexcept {
    if (!received.is_forwarded) return die_with_command(received.number);
    if (interrupted_ == 0) {
      interrupted_ = received.number;
      cut_off_ = exited_;
    }
    // In the caller's group the keys of the terminal have told the command already; twice would
    // mean "at once" to many programs. A terminal that hangs up tells only the session's leader.
    const bool told = received.from_terminal && received.number != SIGHUP && !child_->leads_group();
    child_->signal_all(received.number, told ? Child::Reach::outside_own_group : Child::Reach::all);
    if (!told) child_->signal_all(SIGCONT);
    if (exited_) stop_the_rest();
    // It may never learn of it, and is not waited for as long as it likes.
    if (!told && !child_->may_be_signalled()) kill_after(kill_grace);
  }

  /// By a signal that has nothing to say to the command, where no watchdog would end that.
  void die_with_command(int signal) noexcept {
    fatal_ = true;
    interrupted_ = signal;
    child_->signal_all(SIGKILL);
    kill_after(Nanoseconds(0));
  }

  /// TERM, and KILL when that did not help.
  void stop() noexcept {
    child_->signal_all(SIGTERM);
    child_->signal_all(SIGCONT);
    kill_after(kill_grace);
  }

  /// After an interrupted command has ended: its descendants have had the same signal, and are not
  /// left behind.
  void stop_the_rest() noexcept {
    if (open_pipes_ > relays_ || child_->left() != Child::Left::nothing) {
      stop();
    } else if (open_pipes_ > 0) {
      kill_after(kill_grace);
    }
  }

  void kill_after(Nanoseconds grace) noexcept {
    kill_at_ = std::min(kill_at_, boot_now() + grace);
    stopping_ = true;
    look_again_soon();
  }

  void look_again_soon() noexcept {
    pause_ = first_pause;
    look_again_ = std::min(look_again_, awake_now() + pause_);
  }

  /// Each look reads all of /proc. Most of what there is to see is told by a descriptor before.
  void look_again_later(Nanoseconds now) noexcept {
    Nanoseconds pause = pause_;
    if (now < kill_at_) pause = std::min(pause, kill_at_ - now);
    look_again_ = awake_now() + pause;
    pause_ = std::min<Nanoseconds>(pause_ * 2, last_pause);
  }

  void something_ended() noexcept {
    if (stopping_) look_again_soon();
  }

  /// Looks now and then, during the grace only, whether what was told to stop is gone, and kills
  /// what is not. What then is left cannot be killed, or is a stalled reader of what passes by the
  /// spool; neither is waited for.
  void watch_the_rest() noexcept {
    look_again_ = forever;
    const bool is_stalled = !std::exchange(has_written_, false);
    const Nanoseconds now = boot_now();
    const bool is_due = now >= kill_at_;
    if (is_due) child_->signal_all(SIGKILL);
    const auto left = exited_ || is_due ? child_->left() : Child::Left::some;
    const bool gone = exited_ && open_pipes_ == relays_ && left == Child::Left::nothing;
    const bool in_vain = is_due && left == Child::Left::others_only;
    if (gone && (open_pipes_ == 0 || is_stalled)) {
      stopping_ = false;
      left_ = open_pipes_ > 0;
    } else if (in_vain || now >= after(kill_at_, give_up)) {
      (void)failure_of([&] { left_running_ = child_->name_those_left(); });
      left_ = true;
    } else {
      look_again_later(now);
    }
  }

  Child* child_ = nullptr;
  const std::function<void()>* refused_ = nullptr;
  Signals& signals_;
  Descriptor children_;
  Descriptor process_;
  Descriptor stop_;
  std::array<Pump, 2> pumps_;
  Nanoseconds drain_ = forever;
  // Of awake_now().
  Nanoseconds limit_ = forever;
  Nanoseconds moment_ = forever;
  Nanoseconds look_again_ = forever;
  Nanoseconds pause_ = first_pause;
  Nanoseconds kill_at_ = forever;  // of boot_now()
  std::string left_running_;
  int open_pipes_ = 0;  // that are waited for
  int relays_ = 0;      // of them, those that a forwarder has, or the last piece of
  int interrupted_ = 0;
  int native_status_ = 0;
  int read_error_ = 0;
  bool exited_ = false;
  bool unknown_ = false;  // how
  bool timed_out_ = false;
  bool stopped_ = false;
  bool stopping_ = false;
  bool fatal_ = false;    // the signal
  bool cut_off_ = false;  // the output, by a signal after the command's exit
  bool unshared_ = false;
  bool again_ = false;
  bool has_written_ = false;  // for a forwarder without a thread
  bool left_ = false;
};

Command::Command(CommandSpec launch, Signals& signals)
    : spec_(std::move(launch)), signals_(signals) {
  if (is_message_dropped()) throw interrupted_error();
}
Command::~Command() = default;

void Command::start_plain() {
  const ChildStart plan{spec_.argv, spec_.environment, spec_.in, spec_.out, -1, spec_.scratch};
  try {
    run_ = std::make_unique<Run>(signals_, spec_.stop_descriptor);
    start(plan);
  } catch (const std::exception&) {
    if (spec_.max_runtime || spec_.on_long_run) throw;
    // Not even the means to watch a child are available: the last resort is to become the command.
    start_error_ = replace_process(plan, signals_);
  }
}

void Command::start_spooled(const std::shared_ptr<Spool>& spool) {
  spool_ = spool;
  forwarders_ = {OutputForwarder::make(spool, Stream::out, STDOUT_FILENO),
                 OutputForwarder::make(spool, Stream::err, STDERR_FILENO)};
  if (spec_.defer_stdout) forwarders_[0]->hold();
  run_ = std::make_unique<Run>(signals_, spec_.stop_descriptor);
  const int out = run_->pump(Stream::out, spool, forwarders_[0]);
  const int err = run_->pump(Stream::err, spool, forwarders_[1]);
  start({spec_.argv, spec_.environment, spec_.in, out, err, spec_.scratch});
}

void Command::start(const ChildStart& plan) {
  begun_ = wall_now();
  boot_begun_ = boot_now();
  child_ = std::make_unique<Child>(plan, signals_);
  start_error_ = child_->start_error();
}

RunResult Command::finish(const std::function<void()>& refused) noexcept {
  RunResult ending;
  ending.begun = begun_;
  if (start_error_ == 0) {
    run_->see_through(*child_, spec_, refused, ending);
    read_error_ = run_->read_error();
    child_->disarm();
    if (ending.unknown && !spool_) write_message(line_of_unknown);
  } else {
    if (child_) retry_syscall([&] { return waitpid(child_->pid(), nullptr, 0); });
    ending.exit_kind = ExitKind::not_started;
    ending.status = status_not_started(start_error_);
    say_not_started();
  }
  ending.run_time = boot_now() - boot_begun_;
  ending.ended = wall_now();
  for (const auto& forwarder : forwarders_) forwarder->finish();
  return ending;
}

/// As a shell would say it: part of the run's stderr, for those who share the outcome too.
void Command::say_not_started() noexcept {
  (void)failure_of([&] {
    const std::string text = fmt::format(
        "memolock: cannot run '{}': {}\n", escape_controls(spec_.argv.front()),
        start_error_ == ENOENT ? "command not found" : error_text(start_error_));
    if (spool_ && spool_->append(Stream::err, text)) {
      forwarders_[1]->advance(text.size());
    } else {
      write_message(text);
    }
  });
}

void Command::release_stdout() noexcept { forwarders_[0]->release(); }

Command::Drained Command::drain(Nanoseconds patience) noexcept {
  Drained drained;
  drained.error = read_error_;
  const Nanoseconds deadline = after(boot_now(), patience);
  for (const auto& forwarder : forwarders_) {
    while (!forwarder->is_done()) {
      std::array<pollfd, 4> waiting{readable(forwarder->notice_descriptor()),
                                    readable(signals_.descriptor()), writable(forwarders_[0]),
                                    writable(forwarders_[1])};
      const Nanoseconds left = deadline == forever ? forever : deadline - boot_now();
      if (left <= Nanoseconds(0)) return drained;
      const int ready = poll_for(waiting, left);
      if (ready < 0) pause_briefly();
      if (ready > 0 && waiting[2].revents != 0) forwarders_[0]->write_some();
      if (ready > 0 && waiting[3].revents != 0) forwarders_[1]->write_some();
      forwarder->take_notice();
      if (forwarder->is_done()) break;
      if (const auto received = signals_.next()) {
        drained.interrupted = received->number;
        return drained;
      }
    }
    if (drained.error == 0) drained.error = forwarder->error();
  }
  return drained;
}

LateOutput Command::late_output() noexcept {
  LateOutput late;
  for (const Stream stream : {Stream::out, Stream::err}) {
    Descriptor pipe = run_->take_late(stream);
    if (!pipe) continue;
    child_.reset();  // its watchdog may not have run yet, and have a copy of the other end
    const auto& forwarder = forwarders_[static_cast<size_t>(stream)];
    if (has_ended(pipe) || forwarder->reader_left()) continue;
    late.add(std::move(pipe), forwarder->destination());
  }
  return late;
}

}  // namespace memolock
