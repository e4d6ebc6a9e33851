// Buffered writing to standard output.
#pragma once

#include <string>
#include <string_view>

namespace memolock {

/// Buffers text and writes it in large pieces; discards it once the reader has closed its end.
class Output {
 public:
  /// `what`: the text, in words that follow "cannot write ".
  explicit Output(const char* what) : what_(what) {}

  void write(std::string_view text);
  /// Writes the rest. Throws Error(store) if a write has failed, unless the reader has closed its
  /// end.
  void finish();

 private:
  void flush();

  const char* what_;
  std::string text_;
  int error_ = 0;
};

/// Writes one text.
void print(const char* what, std::string_view text);

/// The width of the terminal on standard output, in columns; 0 if it is not a terminal.
[[nodiscard]] size_t terminal_width();

}  // namespace memolock
