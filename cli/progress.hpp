// Shows the progress of a long operation on a terminal.
#pragma once

#include <optional>
#include <string_view>

#include "src/system/clock.hpp"
#include "src/system/log.hpp"
#include "src/system/status_line.hpp"

namespace memolock {

/// A status line on standard error, if that is a terminal. It is first shown after one second, and
/// erased at the end, also when INT, TERM or HUP ends the process. At most one object at a time,
/// used by one thread.
class ProgressLine {
 public:
  /// At Level::quiet the line is never shown.
  explicit ProgressLine(Level level);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows "COUNT DONE so far", for example "120 found so far", unless the line was shown less than
  /// 100 ms ago. Requires text without control bytes.
  void show(std::string_view done, size_t count);
  /// Erases the line; it is not shown again. To be called before anything else is written to the
  /// terminal.
  void end();

 private:
  bool on_;
  std::optional<StatusLine> line_;  // set once the line has been shown
  Nanoseconds next_;                // when it may next be shown, on the boot clock
};

}  // namespace memolock
