// The holder's part of `get`: run the command under the lock, publish its result, and deliver the
// output to the caller.
//
// The order is fixed. The result is published, and the lock released, before anything waits for the
// readers of stdout and stderr: a slow reader delays neither the waiters nor the next run. For the
// same reason, messages are deferred until the lock is released.
//
// Once the command has started, run() does not throw. If the store fails then, the entry is lost,
// but neither the output nor the exit status.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "src/command/control_file.hpp"
#include "src/command/environment.hpp"
#include "src/promise/call.hpp"
#include "src/system/error.hpp"

namespace memolock {

/// One run. Used once, by one thread.
class HolderRun {
 public:
  /// `role`: whether the command runs for this call or to refresh an entry in the background.
  HolderRun(const CallContext& context, ProcessRole role) : call_(context), role_(role) {}

  /// Runs the command under `lock`, and releases the lock. `transient_failures`: how many runs in a
  /// row ended in a transient failure before this one. `fallback`: the entry that is served if the
  /// command fails; may be null. Throws Error(store) and Error(interrupted) only before the command
  /// has started.
  [[nodiscard]] Outcome run(Lock& lock, uint32_t transient_failures,
                            std::unique_ptr<Entry> fallback);

 private:
  /// Where the caller's output comes from.
  enum class OutputSource {
    command,      ///< the command
    interrupted,  ///< the command; a signal has ended the call while its result was stored
    fallback,     ///< an older entry
  };

  // The run of a command whose output is its result.
  Outcome finish_run(Lock& lock, Record& record, CommandRun& command, Spool& spool,
                     Entry* fallback) noexcept;
  [[nodiscard]] OutputSource publish_outcome(Lock& lock, Record& record, const RunResult& ending,
                                             Spool& spool, Entry* fallback, Outcome& outcome);
  void complete_record(Record& record, const RunResult& ending, const Spool& spool,
                       const Control& control);
  void decide_disposition(Record& record, const Control& control);
  [[nodiscard]] bool pack_artifacts(Lock& lock, Record& record, Spool& spool, Outcome& outcome);
  [[nodiscard]] bool publish(Lock& lock, const Record& record, Outcome& outcome) noexcept;
  [[nodiscard]] bool restore_fallback(Entry& fallback) noexcept;
  void set_not_stored(std::string why, Outcome& outcome) noexcept;
  void abandon_interrupted(Lock& lock) noexcept;

  // Delivering the output, after the lock has been released.
  Outcome end_interrupted(Lock& lock, CommandRun& command, Nanoseconds run_time) noexcept;
  Outcome serve_fallback(CommandRun& command, const RunResult& ending, Entry& fallback) noexcept;
  Outcome deliver_output(CommandRun& command, const RunResult& ending, Outcome outcome) noexcept;
  void forward_late_output(CommandRun& command, const Outcome& outcome) noexcept;

  // The run of a command that only starts the work (--external).
  Outcome run_external(Lock& lock, Record& record, CommandRun& command) noexcept;
  Outcome await_external(Lock& lock, Record& record, Outcome outcome);
  Outcome expire_promise(Lock& lock, Record& record, Outcome outcome) noexcept;

  // Messages: lines about the entry.
  template <typename... T>
  void defer_message(Level level, fmt::format_string<T...> format, T&&... args) noexcept {
    (void)failure_of([&] {
      deferred_messages_.emplace_back(level, fmt::format(format, std::forward<T>(args)...));
    });
  }
  void defer_warnings(const RunResult& ending) noexcept;
  void defer_failure(const RunResult& ending, const Record& record,
                     const Outcome& outcome) noexcept;
  /// Returns `outcome`.
  Outcome log_deferred_messages(Outcome outcome) noexcept;

  const CallContext call_;
  const ProcessRole role_;
  ControlFile control_;
  // Written after the lock has been released: the reader of stderr may also be slow.
  std::vector<std::pair<Level, std::string>> deferred_messages_;
};

}  // namespace memolock
