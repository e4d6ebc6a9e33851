#include "src/command/command.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "src/command/child.hpp"
#include "src/command/output_pump.hpp"
#include "src/command/poll_events.hpp"
#include "src/command/run_loop.hpp"
#include "src/system/error.hpp"
#include "src/system/exit_status.hpp"
#include "src/system/message.hpp"
#include "src/system/retry_syscall.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr std::string_view status_unknown_message =
    "memolock: the exit status of the command is unknown: another process collected it\n";

int status_not_started(int error) {
  return error == ENOENT ? exit_status::not_found : exit_status::cannot_run;
}

/// Whether a pipe is empty and no process can write to it any more.
bool is_at_end(const Descriptor& pipe) noexcept {
  std::array<pollfd, 1> end{readable(pipe.get())};
  return poll_for(end, Nanoseconds(0)) == 1 && end[0].revents == POLLHUP;
}

}  // namespace

Command::Command(CommandSpec spec, Signals& signals) : spec_(std::move(spec)), signals_(signals) {
  if (is_message_dropped()) throw interrupted_error();
}
Command::~Command() = default;

void Command::start_plain() {
  const ChildStart child{spec_.argv, spec_.environment, spec_.in, spec_.out, -1, spec_.cleanup};
  try {
    run_ = std::make_unique<RunLoop>(signals_, spec_.stop_descriptor);
    start(child);
  } catch (const std::exception&) {
    if (spec_.max_runtime || spec_.on_long_run) throw;
    // There are not enough resources to watch a child. As a last resort, replace this process.
    start_error_ = replace_process(child, signals_);
  }
}

void Command::start_spooled(const std::shared_ptr<Spool>& spool) {
  spool_ = spool;
  forwarders_ = {OutputForwarder::make(spool, Stream::out, STDOUT_FILENO),
                 OutputForwarder::make(spool, Stream::err, STDERR_FILENO)};
  if (spec_.defer_stdout) forwarders_[0]->hold();
  run_ = std::make_unique<RunLoop>(signals_, spec_.stop_descriptor);
  const int out = run_->output().add(Stream::out, spool, forwarders_[0]);
  const int err = run_->output().add(Stream::err, spool, forwarders_[1]);
  start({spec_.argv, spec_.environment, spec_.in, out, err, spec_.cleanup});
}

void Command::start(const ChildStart& start) {
  begun_ = wall_now();
  boot_begun_ = boot_now();
  child_ = std::make_unique<Child>(start, signals_);
  start_error_ = child_->start_error();
}

RunResult Command::finish(FunctionRef<void> refused) noexcept {
  RunResult result;
  result.begun = begun_;
  if (start_error_ == 0) {
    run_->run_to_end(*child_, spec_, refused, result);
    read_error_ = run_->output().read_error();
    child_->release_descendants();
    if (result.unknown && !spool_) write_message(status_unknown_message);
  } else {
    if (child_) retry_syscall([&] { return waitpid(child_->pid(), nullptr, 0); });
    result.exit_kind = ExitKind::not_started;
    result.status = status_not_started(start_error_);
    report_not_started();
  }
  result.run_time = boot_now() - boot_begun_;
  result.ended = wall_now();
  for (const auto& forwarder : forwarders_) forwarder->finish();
  return result;
}

/// Reports the error as a shell would. The message is part of the run's stderr, so that it is
/// shared with the outcome.
void Command::report_not_started() noexcept {
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
                                    readable(signals_.descriptor()),
                                    writable(forwarders_[0]->pending_descriptor()),
                                    writable(forwarders_[1]->pending_descriptor())};
      const Nanoseconds left = deadline == forever ? forever : deadline - boot_now();
      if (left <= Nanoseconds(0)) return drained;
      const int ready = poll_for(waiting, left);
      if (ready < 0) pause_briefly();
      if (ready > 0 && waiting[2].revents != 0) forwarders_[0]->write_some();
      if (ready > 0 && waiting[3].revents != 0) forwarders_[1]->write_some();
      forwarder->clear_notice();
      if (forwarder->is_done()) break;
      if (const auto received = signals_.next()) {
        drained.interrupt_signal = received->number;
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
    Descriptor pipe = run_->output().take_late(stream);
    if (!pipe) continue;
    child_.reset();  // its watchdog may still have a copy of the write end
    const auto& forwarder = forwarders_[static_cast<size_t>(stream)];
    if (is_at_end(pipe) || forwarder->reader_left()) continue;
    late.add(std::move(pipe), forwarder->destination());
  }
  return late;
}

}  // namespace memolock
