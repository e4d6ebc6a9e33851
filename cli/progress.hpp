// How far a long walk through a store has come, on a terminal.
#pragma once

#include <optional>
#include <string_view>

#include "src/system/clock.hpp"
#include "src/system/log.hpp"
#include "src/system/status_line.hpp"

namespace memolock {

/// A line on standard error, if that is a terminal, from a second on; erased without a trace, also
/// when INT, TERM or HUP ends the process. One at a time.
class ProgressLine {
 public:
  /// Of a quiet caller nothing is shown.
  explicit ProgressLine(Level level);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::string_view done, size_t count);
  /// Ends it, before anything else is written to the terminal.
  void end();

 private:
  bool on_;
  std::optional<StatusLine> line_;  // there when something was shown
  Nanoseconds next_;                // boot clock
};

}  // namespace memolock
