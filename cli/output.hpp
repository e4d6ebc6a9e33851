// Buffered writing to standard output.
#pragma once

#include <string>
#include <string_view>

namespace memolock {

/// Buffers text and writes it in large pieces. Once the reader has closed its end, discards it
/// without an error. Used by one thread.
class Output {
 public:
  /// `what` describes the text; worded to follow "cannot write ".
  explicit Output(const char* what) : what_(what) {}

  void write(std::string_view text);
  /// Writes the buffered text. Throws Error(store) if any write has failed.
  void finish();

 private:
  void flush();

  const char* what_;
  std::string text_;
  int error_ = 0;
};

/// Writes one text in the same way as an Output. Throws Error(store).
void print(const char* what, std::string_view text);

/// The width of the terminal on standard output, in columns; 0 if it is not a terminal.
[[nodiscard]] size_t terminal_width();

}  // namespace memolock
