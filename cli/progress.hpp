// The progress of a long operation on a store, on a terminal.
#pragma once

#include <optional>
#include <string_view>

#include "src/system/clock.hpp"
#include "src/system/log.hpp"
#include "src/system/status_line.hpp"

namespace memolock {

/// A status line on standard error, if that is a terminal, shown after one second. It is erased at
/// the end, also when INT, TERM or HUP ends the process. At most one object at a time.
class ProgressLine {
 public:
  /// Shows nothing at Level::quiet.
  explicit ProgressLine(Level level);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::string_view done, size_t count);
  /// Erases it. Call it before anything else is written to the terminal.
  void end();

 private:
  bool on_;
  std::optional<StatusLine> line_;  // set once something is shown
  Nanoseconds next_;                // boot clock
};

}  // namespace memolock
