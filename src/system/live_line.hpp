// One line on a terminal that comes and goes without a trace.
#pragma once

#include <string_view>

namespace memolock {

/// The text stands behind the cursor, which stays where it is: whatever anybody else writes to the
/// terminal goes over it, and what stood before the cursor stays. Nothing is written while the
/// terminal is somebody else's (this process is in the background) or takes nothing (Ctrl-S).
/// TSTP (Ctrl-Z), unless it is ignored or handled, takes the text away before it stops the process.
/// One at a time.
class LiveLine {
 public:
  explicit LiveLine(int terminal) : terminal_(terminal) {}
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;
  ~LiveLine() { erase(); }

  /// What erases the text, as long as the terminal has not become narrower: for signal handlers.
  static constexpr std::string_view erasure = "\x1b[K";

  /// Whether `fd` is a terminal that can do this.
  [[nodiscard]] static bool is_possible(int fd);

  /// Shows the text in place of the one before, as much of it as one line takes. It holds no
  /// control bytes.
  void show(std::string_view text);
  void erase();

 private:
  [[nodiscard]] std::string_view eraser(int columns) const;

  int terminal_;
  int shown_columns_ = 0;  // of the terminal when the text was shown; 0: there is none
};

}  // namespace memolock
