#include "cli/output.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <utility>

#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"

namespace memolock {

void Output::write(std::string_view text) {
  constexpr size_t enough = 64U << 10;
  if (error_ != 0) return;
  text_ += text;
  if (text_.size() >= enough) flush();
}

void Output::flush() {
  error_ = write_all(STDOUT_FILENO, text_);
  text_.clear();
}

void Output::finish() {
  if (error_ == 0) flush();
  if (error_ != 0 && !reader_has_left(error_))
    throw store_error(std::string("cannot write ") + what_ + ": " + error_text(error_));
}

void print(const char* what, std::string_view text) {
  Output output(what);
  output.write(text);
  output.finish();
}

size_t terminal_width() {
  if (isatty(STDOUT_FILENO) == 0) return 0;
  constexpr size_t usual = 80;  // for a terminal that does not report its width
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

}  // namespace memolock
