#include "src/promise/process_launcher.hpp"

#include <utility>

namespace memolock {
namespace {

class ProcessRun final : public CommandRun {
 public:
  ProcessRun(CommandSpec spec, Signals& signals) : command_(std::move(spec), signals) {}

  void start_plain() override { command_.start_plain(); }
  void start_spooled(const std::shared_ptr<Spool>& spool) override {
    command_.start_spooled(spool);
  }
  RunResult finish(FunctionRef<void> refused) noexcept override { return command_.finish(refused); }
  void release_stdout() noexcept override { command_.release_stdout(); }
  Command::Drained drain(Nanoseconds patience) noexcept override {
    return command_.drain(patience);
  }
  LateOutput late_output() noexcept override { return command_.late_output(); }

 private:
  Command command_;
};

class RealLauncher final : public ProcessLauncher {
 public:
  std::unique_ptr<CommandRun> prepare(CommandSpec spec, Signals& signals) override {
    return std::make_unique<ProcessRun>(std::move(spec), signals);
  }
  ProcessRole daemonize() override { return memolock::daemonize(); }
};

}  // namespace

ProcessLauncher& process_launcher() noexcept {
  static RealLauncher launcher;
  return launcher;
}

}  // namespace memolock
