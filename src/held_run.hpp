// The run of who holds the lock: executes the command, shares what it leaves, and gives it to the
// caller.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/background.hpp"
#include "src/command.hpp"
#include "src/log.hpp"
#include "src/request.hpp"
#include "src/run_environment.hpp"
#include "src/signals.hpp"
#include "src/store.hpp"

namespace memolock {

class HeldRun {
 public:
  /// Keeps references to all of it. `side`: for whom the command runs.
  HeldRun(const Request& request, Store& store, Signals& signals, const Log& log, Side side);

  /// Runs the command under `lock`, and releases it. `troubles`: how many runs in a row before this
  /// one ended in a way that may be one machine's trouble. `fallback`: the entry to be served if
  /// the command fails; null: none. Throws Error(store) only before the command has started.
  [[nodiscard]] Outcome run(Lock& lock, uint32_t troubles, std::unique_ptr<Entry> fallback);

 private:
  Outcome run_for_all(Lock& lock, Record record, Launch launch, std::unique_ptr<Entry> fallback);
  void leave_interrupted(Lock& lock);
  Outcome end_interrupted(Lock& lock, Command& command, const Outcome& so_far);
  Outcome serve_instead(Command& command, const Ending& ending, Entry& fallback);
  Outcome start_promise(Lock& lock, Record record, Launch launch);
  Outcome lose_promise(Lock& lock, Outcome outcome, const std::string& why);
  Outcome break_promise(Lock& lock, Record record, Outcome outcome);
  void complete(Record& record, const Ending& ending, const Spool& spool, const Control& control);
  [[nodiscard]] bool pack_artifacts(Lock& lock, Record& record, Spool& spool, Outcome& outcome);
  [[nodiscard]] bool restore_fallback(Entry& fallback);
  void decide_fate(Record& record, const Control& control);
  void publish(Lock& lock, const Record& record, Outcome& outcome);
  Outcome hand_over(Command& command, const Ending& ending, Outcome outcome);
  Outcome with_remarks(Outcome outcome);
  void say_later(Level level, std::string text) { remarks_.emplace_back(level, std::move(text)); }

  const Request& request_;
  Store& store_;
  Signals& signals_;
  const Log& log_;
  Side side_;
  ControlFile control_;
  // Kept until nothing is held any more: whoever reads stderr may take his time too.
  std::vector<std::pair<Level, std::string>> remarks_;
};

}  // namespace memolock
