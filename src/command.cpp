#include "src/command.hpp"

#define BOOST_PROCESS_V2_HEADER_ONLY 1
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "src/child.hpp"
#include "src/error.hpp"
#include "src/key.hpp"

namespace memolock {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// What a command that was told to stop has left to clean up before it is killed.
constexpr std::chrono::seconds kill_grace{10};
// And what a killed one has to be gone.
constexpr std::chrono::seconds give_up{2};
// What a short output needs, without a mapping of its own, and what a large one gets.
constexpr size_t first_read_size = 32U << 10;
constexpr size_t large_read_size = 256U << 10;
constexpr int large_pipe = 1 << 20;

int status_not_started(int error) { return error == ENOENT ? 127 : 126; }

void set_outcome(Ending& ending, int native_status) {
  if (WIFSIGNALED(native_status)) {
    ending.end = End::signaled;
    ending.status = 128 + WTERMSIG(native_status);
  } else {
    ending.end = End::exited;
    ending.status = WEXITSTATUS(native_status);
  }
}

/// One run of a child: the only place with an event loop. It returns when the child has been
/// reaped, its pipes are at their end, and nothing that must not be left behind is left.
class Run {
 public:
  explicit Run(Signals& signals)
      : signals_(signals),
        signal_input_(*context_, fcntl(signals.descriptor(), F_DUPFD_CLOEXEC, 3)),
        child_input_(*context_, signals.watch_children().release()),
        spare_(fcntl(signals.descriptor(), F_DUPFD_CLOEXEC, 3)) {
    if (!spare_) throw system_error("cannot watch a command", errno);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void attend(Child& child) {
    child_ = &child;
    spare_.reset();
    try {
      process_.emplace(context_->get_executor(), child.pid());
    } catch (const boost::system::system_error&) {
      // No descriptor for a process on this kernel, or in this container: SIGCHLD will do.
    }
  }

  void limit(Nanoseconds length) {
    limit_.expires_after(length);
    limit_.async_wait([this](error_code error) {
      if (error) return;
      timed_out_ = true;
      stop();
    });
  }

  /// Calls `lasting` when the command has run for a moment.
  void remind(const std::function<void()>& lasting) {
    constexpr std::chrono::milliseconds moment(20);
    moment_.expires_after(moment);
    moment_.async_wait([&lasting](error_code error) {
      if (!error) lasting();
    });
  }

  /// Stops the command when `descriptor` becomes readable; -1: none.
  void stop_at(int descriptor) {
    if (descriptor < 0) return;
    stop_input_.emplace(*context_, fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
    stop_input_->async_wait(asio::posix::descriptor_base::wait_read, [this](error_code error) {
      if (error) return;
      stopped_ = true;
      stop();
    });
  }

  /// `finish` is to read `pipe` to its end into `spool` and `outlet`; past a refusal the outlet
  /// reads on by itself.
  void pump(Descriptor pipe, Stream stream, const std::shared_ptr<Spool>& spool,
            std::shared_ptr<Outlet> outlet, const std::function<void()>& refused) {
    Pump& pump = pumps_.at(static_cast<size_t>(stream));
    pump.input.emplace(*context_, pipe.release());
    pump.stream = stream;
    pump.spool = spool;
    pump.outlet = std::move(outlet);
    pump.refused = &refused;
    ++open_pipes_;
  }

  void finish(Ending& ending) {
    await_signal();
    await_orphan();
    for (Pump& pump : pumps_)
      if (pump.input) read_on(pump);
    if (process_) {
      process_->async_wait(
          [this](error_code, int) { command_ended(process_->native_exit_code()); });
    }
    context_->run();
    set_outcome(ending, native_status_);
    ending.interrupted = interrupted_;
    ending.stopped = stopped_;
    ending.cut_short = interrupted_ != 0 || ((timed_out_ || stopped_) && relays_ > 0);
    if (timed_out_) {
      ending.end = End::timed_out;
      ending.status = 124;
    }
  }

 private:
  struct Pump {
    std::optional<asio::posix::stream_descriptor> input;
    Stream stream = Stream::out;
    std::shared_ptr<Spool> spool;
    std::shared_ptr<Outlet> outlet;
    const std::function<void()>* refused = nullptr;
    size_t read_size = first_read_size;
    std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(first_read_size);
  };

  void read_on(Pump& pump) {
    pump.input->async_read_some(asio::buffer(pump.buffer.get(), pump.read_size),
                                [this, &pump](error_code error, size_t size) {
                                  if (error) {
                                    end_of(pump);
                                  } else {
                                    take(pump, size);
                                  }
                                });
  }

  void take(Pump& pump, size_t size) {
    const std::string_view bytes(pump.buffer.get(), size);
    const bool refused_before = !pump.spool->fault().empty();
    if (pump.spool->append(pump.stream, bytes)) {
      pump.outlet->advance(pump.spool->size(pump.stream));
      if (size == first_read_size) grow(pump);
      read_on(pump);
      return;
    }
    if (!refused_before) (*pump.refused)();
    pass_by(pump, bytes);
  }

  static void grow(Pump& pump) {
    if (pump.read_size == large_read_size) return;
    fcntl(pump.input->native_handle(), F_SETPIPE_SZ, large_pipe);
    pump.read_size = large_read_size;
    pump.buffer = std::make_unique_for_overwrite<char[]>(large_read_size);
  }

  /// Hands the pipe over to the outlet, which tells the loop when it is done.
  void pass_by(Pump& pump, std::string_view bytes) {
    ++relays_;
    Descriptor pipe(pump.input->release());
    fcntl(pipe.get(), F_SETFL, fcntl(pipe.get(), F_GETFL) & ~O_NONBLOCK);
    const auto work = asio::make_work_guard(*context_);
    pump.outlet->relay(std::string(bytes), std::move(pipe),
                       [this, &pump, work, context = context_] {
                         asio::post(*context, [this, &pump, work] {
                           --relays_;
                           end_of(pump);
                         });
                       });
  }

  void end_of(Pump& pump) {
    error_code ignored;
    pump.input->close(ignored);
    --open_pipes_;
    settle();
  }

  void await_signal() {
    signal_input_.async_wait(asio::posix::descriptor_base::wait_read, [this](error_code error) {
      if (error) return;
      while (const auto received = signals_.take()) interrupt(*received);
      await_signal();
    });
  }

  void await_orphan() {
    child_input_.async_wait(asio::posix::descriptor_base::wait_read, [this](error_code error) {
      if (error) return;
      signalfd_siginfo info{};
      while (read(child_input_.native_handle(), &info, sizeof info) > 0) {
      }
      int status = 0;
      if (!process_ && !exited_ && waitpid(child_->pid(), &status, WNOHANG) == child_->pid())
        command_ended(status);
      child_->reap_orphans();
      if (!over_) await_orphan();
    });
  }

  void command_ended(int native_status) {
    native_status_ = native_status;
    exited_ = true;
    child_->note_reaped();
    // What it left running in the background is its own affair, unless it was to be stopped as a
    // whole.
    if (interrupted_ != 0) stop_the_rest();
    settle();
  }

  void interrupt(const Signals::Received& received) {
    if (interrupted_ == 0) interrupted_ = received.number;
    // In the caller's group the keys of the terminal have told the command already; twice would
    // mean "at once" to many programs. A terminal that hangs up tells only the session's leader.
    const bool told = received.from_terminal && received.number != SIGHUP && !child_->leads_group();
    child_->signal_all(received.number, told ? Child::Reach::outside_own_group : Child::Reach::all);
    if (!told) child_->signal_all(SIGCONT);
    if (exited_) stop_the_rest();
  }

  /// TERM, and KILL when that did not help.
  void stop() {
    child_->signal_all(SIGTERM);
    child_->signal_all(SIGCONT);
    kill_after_grace();
  }

  /// After an interrupted command has ended: its descendants have had the same signal, and are not
  /// left behind.
  void stop_the_rest() {
    if (open_pipes_ > relays_ || child_->has_descendants()) {
      stop();
    } else if (open_pipes_ > 0) {
      kill_after_grace();
    }
  }

  void kill_after_grace() {
    if (std::exchange(stopping_, true)) return;
    kill_at_ = boot_now() + kill_grace;
    watch_the_rest();
  }

  /// Looks now and then, during the grace only, whether what was told to stop is gone, and kills
  /// what is not. What then is left cannot be killed, or is a stalled reader of what passes by the
  /// spool; neither is waited for.
  void watch_the_rest() {
    rest_.expires_after(std::chrono::milliseconds(20));
    rest_.async_wait([this](error_code error) {
      if (error) return;
      const bool gone = exited_ && open_pipes_ == relays_ && !child_->has_descendants();
      const Nanoseconds now = boot_now();
      if (!gone && now >= kill_at_) child_->signal_all(SIGKILL);
      if ((gone && open_pipes_ > 0) || (exited_ && now >= kill_at_ + give_up)) {
        context_->stop();
      } else if (gone) {
        stopping_ = false;
        settle();
      } else {
        watch_the_rest();
      }
    });
  }

  /// Lets the loop end when the run is over.
  void settle() {
    if (!exited_ || open_pipes_ > 0 || stopping_) return;
    over_ = true;
    limit_.cancel();
    rest_.cancel();
    moment_.cancel();
    error_code ignored;
    if (stop_input_) stop_input_->cancel(ignored);
    signal_input_.cancel(ignored);
    child_input_.cancel(ignored);
  }

  // Shared with the outlets' threads, which may outlive the run when it was interrupted.
  std::shared_ptr<asio::io_context> context_ = std::make_shared<asio::io_context>(1);
  Child* child_ = nullptr;
  Signals& signals_;
  asio::posix::stream_descriptor signal_input_;
  asio::posix::stream_descriptor child_input_;
  // Kept for the one descriptor that can be made only when there is a process.
  Descriptor spare_;
  std::optional<boost::process::v2::process> process_;
  std::optional<asio::posix::stream_descriptor> stop_input_;
  asio::steady_timer limit_{*context_};
  asio::steady_timer rest_{*context_};
  asio::steady_timer moment_{*context_};
  std::array<Pump, 2> pumps_;
  int open_pipes_ = 0;
  int relays_ = 0;  // of them, those that an outlet has
  int interrupted_ = 0;
  bool exited_ = false;
  int native_status_ = 0;
  bool timed_out_ = false;
  bool stopped_ = false;
  bool stopping_ = false;
  bool over_ = false;
  Nanoseconds kill_at_{0};
};

std::string why_not_started(const std::string& name, int error) {
  return fmt::format("memolock: cannot run '{}': {}\n", escape_controls(name),
                     error == ENOENT ? "command not found" : error_text(error));
}

/// All that a run needs but its process, so that what may fail for want of descriptors fails before
/// the command has started. Throws Error(store).
template <typename Prepare>
std::unique_ptr<Run> make_run(Signals& signals, const Prepare& prepare) {
  try {
    auto run = std::make_unique<Run>(signals);
    prepare(*run);
    return run;
  } catch (const boost::system::system_error& error) {
    throw system_error("cannot watch a command", error.code().value());
  }
}

/// Starts the command and sees it to its end; fills in times and outcome. `started` is called when
/// it runs, `excuse` with the message when it cannot be started.
template <typename Started, typename Excuse>
Ending see_through(Run& run, std::unique_ptr<Child>& child, const Launch& launch,
                   const ChildStart& start, const Signals& signals, const Started& started,
                   const Excuse& excuse) {
  Ending ending;
  ending.begun = wall_now();
  const Nanoseconds boot_begun = boot_now();
  child = std::make_unique<Child>(start, signals);
  if (child->start_error() == 0) {
    run.attend(*child);
    started();
    if (launch.max_runtime) run.limit(*launch.max_runtime);
    if (launch.lasting) run.remind(launch.lasting);
    run.finish(ending);
    child->let_go();
  } else {
    waitpid(child->pid(), nullptr, 0);
    ending.end = End::not_started;
    ending.status = status_not_started(child->start_error());
    excuse(why_not_started(launch.argv.front(), child->start_error()));
  }
  ending.run_time = boot_now() - boot_begun;
  ending.ended = wall_now();
  return ending;
}

}  // namespace

Command::Command(Launch launch, Signals& signals) : launch_(std::move(launch)), signals_(signals) {}
Command::~Command() = default;

Ending Command::run_plain() {
  const ChildStart start{launch_.argv, launch_.environment, launch_.in, launch_.out, -1};
  const auto excuse = [](const std::string& text) { (void)write_all(STDERR_FILENO, text); };
  std::unique_ptr<Run> run;
  try {
    run = make_run(signals_, [&](Run& made) { made.stop_at(launch_.stop_descriptor); });
  } catch (const Error&) {
    if (launch_.max_runtime || launch_.lasting) throw;
    // Not even the means to watch a child are to be had: the last resort is to become the command.
    const int error = replace_process(start, signals_);
    excuse(why_not_started(launch_.argv.front(), error));
    Ending ending;
    ending.end = End::not_started;
    ending.status = status_not_started(error);
    return ending;
  }
  return see_through(
      *run, child_, launch_, start, signals_, [] {}, excuse);
}

Ending Command::run_spooled(const std::shared_ptr<Spool>& spool,
                            const std::function<void()>& refused) {
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  outlets_ = {Outlet::make(spool, Stream::out, STDOUT_FILENO),
              Outlet::make(spool, Stream::err, STDERR_FILENO)};
  if (launch_.hold_out) outlets_[0]->hold();
  const auto run = make_run(signals_, [&](Run& made) {
    made.pump(std::move(out.read_end), Stream::out, spool, outlets_[0], refused);
    made.pump(std::move(err.read_end), Stream::err, spool, outlets_[1], refused);
    made.stop_at(launch_.stop_descriptor);
  });
  const ChildStart start{launch_.argv, launch_.environment, launch_.in, out.write_end.get(),
                         err.write_end.get()};
  const Ending ending = see_through(
      *run, child_, launch_, start, signals_,
      [&] {
        out.write_end.reset();
        err.write_end.reset();
      },
      [&](const std::string& text) {
        // As a shell would say it: part of the run's stderr, for those who share the outcome too.
        if (spool->append(Stream::err, text)) {
          outlets_[1]->advance(text.size());
        } else {
          (void)write_all(STDERR_FILENO, text);
        }
      });
  for (const auto& outlet : outlets_) outlet->finish();
  return ending;
}

void Command::let_out() { outlets_[0]->release(); }

Command::Drained Command::drain(Nanoseconds patience) {
  Drained drained;
  const Nanoseconds deadline = after(boot_now(), patience);
  for (const auto& outlet : outlets_) {
    while (outlet->has_thread()) {
      const Ready ready = await_readable(outlet->done_descriptor(), signals_.descriptor(),
                                         deadline);
      if (ready == Ready::readable) break;
      if (ready == Ready::timed_out) return drained;
      if (const auto received = signals_.take()) {
        drained.interrupted = received->number;
        return drained;
      }
    }
    if (drained.error == 0) drained.error = outlet->error();
  }
  return drained;
}

}  // namespace memolock
