// One run of a command, from the start of the child to its end: the event loop of the run.
#pragma once

#include "src/command/child.hpp"
#include "src/command/command.hpp"
#include "src/command/output_pump.hpp"
#include "src/command/termination.hpp"
#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/function_ref.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// Waits for a child, moves its output, forwards signals to it, and stops it when its time limit
/// has passed or the caller requests it. The run ends when the child has been reaped, its pipes are
/// at their end or no longer waited for, and no process is left that must not outlive the run.
///
/// Everything that a run needs is created by the constructor and OutputPump::add(), before the
/// child is started. From then on it does not depend on any allocation, and it retries system calls
/// that failed for lack of resources.
class RunLoop {
 public:
  /// The command is stopped when `stop_descriptor` becomes readable; -1: none. Keeps a reference to
  /// `signals`. Throws Error(store).
  RunLoop(Signals& signals, int stop_descriptor);
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;

  [[nodiscard]] OutputPump& output() noexcept { return output_; }

  /// Waits for the end of `child`, which the calling thread has just started. Sets all of `result`
  /// but its times. `refused`: see Command::finish(). Call it once.
  void run_to_end(Child& child, const CommandSpec& spec, FunctionRef<void> refused,
                  RunResult& result) noexcept;

 private:
  [[nodiscard]] bool is_over() const noexcept;
  [[nodiscard]] Termination::RunState state() const noexcept;

  void handle_events() noexcept;
  [[nodiscard]] Nanoseconds time_until_next_deadline() const noexcept;
  void handle_deadlines(const CommandSpec& spec) noexcept;

  void handle_signals() noexcept;
  void pass_on(const Signals::Received& signal) noexcept;
  void die_with_command(int signal) noexcept;
  void stop_on_request() noexcept;

  void reap_children() noexcept;
  void note_lost_child(int error) noexcept;
  void note_exit(int native_status) noexcept;

  void end_output_sharing() noexcept;
  void describe_end(RunResult& result) noexcept;

  Signals& signals_;
  Descriptor children_;         // readable when a child has ended
  Descriptor process_;          // a pidfd of the child; empty if the kernel does not support pidfds
  Descriptor stop_descriptor_;  // of CommandSpec; empty when it is to be ignored
  OutputPump output_;
  Termination termination_;
  Child* child_ = nullptr;
  FunctionRef<void> refused_;
  Nanoseconds drain_limit_ = forever;
  // On the awake_now() clock.
  Nanoseconds runtime_deadline_ = forever;
  Nanoseconds long_run_at_ = forever;
  int signal_ = 0;  // the first that was received; 0: none
  int native_status_ = 0;
  bool exited_ = false;
  bool status_unknown_ = false;
  bool timed_out_ = false;
  bool stopped_ = false;
  bool is_signal_fatal_ = false;     // it was not forwarded, but ends memolock
  bool was_output_cut_off_ = false;  // the signal arrived after the exit of the command
  bool must_retry_ = false;
};

}  // namespace memolock
