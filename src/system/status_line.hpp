// A status line on a terminal, which can be erased completely.
#pragma once

#include <string_view>

namespace memolock {

/// The text is shown after the cursor, which does not move: the output of other programs overwrites
/// it, and what is before the cursor stays. Nothing is written while this process is in the
/// background or the terminal accepts no output (Ctrl-S). TSTP (Ctrl-Z), unless it is ignored or
/// handled, erases the text before it stops the process. At most one object at a time, used by one
/// thread.
class StatusLine {
 public:
  explicit StatusLine(int terminal) : terminal_(terminal) {}
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  ~StatusLine() { erase(); }

  /// The bytes that erase the text if the terminal has not become narrower. For signal handlers.
  static constexpr std::string_view erasure = "\x1b[K";

  /// Whether `fd` is a terminal that has the control sequences that this class uses.
  [[nodiscard]] static bool is_supported(int fd);

  /// Replaces the text with `text`, truncated to one line. Requires text without control bytes.
  void show(std::string_view text);
  void erase();

 private:
  [[nodiscard]] std::string_view eraser(int columns) const;

  int terminal_;
  int shown_columns_ = 0;  // of the terminal when the text was shown; 0: no text
};

}  // namespace memolock
