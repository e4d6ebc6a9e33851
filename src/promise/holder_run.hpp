// The run of who holds the lock: executes the command, shares what it leaves, and gives it to the
// caller.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "src/command/command.hpp"
#include "src/command/control_file.hpp"
#include "src/command/environment.hpp"
#include "src/entry/request.hpp"
#include "src/store/store.hpp"
#include "src/system/daemonize.hpp"
#include "src/system/error.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

class HolderRun {
 public:
  /// Keeps references to all of it. `side`: for whom the command runs.
  HolderRun(const Request& request, Store& store, Signals& signals, const Log& log,
            ProcessRole role);

  /// Runs the command under `lock`, and releases it. `troubles`: how many runs in a row before this
  /// one ended in a way that may be one machine's trouble. `fallback`: the entry to be served if
  /// the command fails; null: none. Throws Error(store) only before the command has started.
  [[nodiscard]] Outcome run(Lock& lock, uint32_t transient_failures,
                            std::unique_ptr<Entry> fallback);

 private:
  // Of a command that has started: what fails then is said, and the run goes on to its end.
  Outcome run_to_end(Lock& lock, Record& record, Command& command, Spool& spool,
                     Entry* fallback) noexcept;
  /// What the caller gets.
  enum class Answer { output, output_of_interrupted, fallback };
  [[nodiscard]] Answer share(Lock& lock, Record& record, const RunResult& ending, Spool& spool,
                             Entry* fallback, Outcome& outcome);
  void note_warnings(const RunResult& ending) noexcept;
  void note_failure(const RunResult& ending, const Record& record, const Outcome& outcome) noexcept;
  void abandon_interrupted(Lock& lock) noexcept;
  Outcome end_interrupted(Lock& lock, Command& command, Nanoseconds run_time) noexcept;
  Outcome serve_fallback(Command& command, const RunResult& ending, Entry& fallback) noexcept;
  Outcome keep_promise(Lock& lock, Record& record, Command& command) noexcept;
  Outcome await_promise(Lock& lock, Record& record, Outcome outcome);
  Outcome break_promise(Lock& lock, Record& record, Outcome outcome) noexcept;
  void complete(Record& record, const RunResult& ending, const Spool& spool,
                const Control& control);
  [[nodiscard]] bool pack_artifacts(Lock& lock, Record& record, Spool& spool, Outcome& outcome);
  [[nodiscard]] bool restore_fallback(Entry& fallback) noexcept;
  void decide_disposition(Record& record, const Control& control);
  /// Returns false when it was interrupted.
  [[nodiscard]] bool publish(Lock& lock, const Record& record, Outcome& outcome) noexcept;
  void note_not_stored(std::string why, Outcome& outcome) noexcept;
  Outcome deliver_output(Command& command, const RunResult& ending, Outcome outcome) noexcept;
  void forward_late_output(Command& command, const Outcome& outcome) noexcept;
  Outcome with_deferred_messages(Outcome outcome) noexcept;

  template <typename... T>
  void defer_message(Level level, fmt::format_string<T...> format, T&&... args) noexcept {
    (void)failure_of([&] {
      deferred_messages_.emplace_back(level, fmt::format(format, std::forward<T>(args)...));
    });
  }

  const Request& request_;
  Store& store_;
  Signals& signals_;
  const Log& log_;
  ProcessRole role_;
  ControlFile control_;
  // Kept until nothing is held any more: whoever reads stderr may take their time too.
  std::vector<std::pair<Level, std::string>> deferred_messages_;
};

}  // namespace memolock
