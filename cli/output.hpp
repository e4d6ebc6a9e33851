// Standard output, for what may be long.
#pragma once

#include <string>
#include <string_view>

namespace memolock {

/// Gathers text and writes it in large pieces; of what nobody reads any more, nothing.
class Output {
 public:
  /// `what` is written, in words that follow "cannot write ".
  explicit Output(const char* what) : what_(what) {}

  void write(std::string_view text);
  /// Writes what is left. Throws Error(store) when something could not be written, but not when its
  /// reader has left.
  void finish();

 private:
  void flush();

  const char* what_;
  std::string text_;
  int error_ = 0;
};

/// The same for a text that is all at hand.
void print(const char* what, std::string_view text);

/// The width of the terminal that is standard output, in columns; 0: it is none.
[[nodiscard]] size_t terminal_width();

}  // namespace memolock
