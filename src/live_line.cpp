#include "src/live_line.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "src/descriptor.hpp"

namespace memolock {
namespace {

constexpr std::string_view erase_screen_end = "\x1b[J";

int columns_of(int terminal) {
  constexpr int usual = 80;
  winsize size{};
  return ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

/// The front of a UTF-8 text that has at most `count` characters.
std::string_view front_of(std::string_view text, int count) {
  const auto begins_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  };
  size_t end = 0;
  for (; end < text.size(); ++end)
    if (begins_character(text[end]) && count-- == 0) break;
  return text.substr(0, end);
}

}  // namespace

bool LiveLine::is_possible(int fd) {
  if (isatty(fd) == 0) return false;
  const char* const name = getenv("TERM");
  return name != nullptr && *name != '\0' && std::string_view(name) != "dumb";
}

bool LiveLine::is_ours() const {
  pollfd takes{.fd = terminal_, .events = POLLOUT, .revents = 0};
  return tcgetpgrp(terminal_) == getpgrp() && poll(&takes, 1, 0) == 1 &&
         (takes.revents & POLLOUT) != 0;
}

/// A terminal that has become narrower may have broken the text into several lines.
std::string_view LiveLine::eraser(int columns) const {
  return columns < shown_columns_ ? erase_screen_end : erasure;
}

void LiveLine::show(std::string_view text) {
  if (!is_ours()) return;
  const int columns = columns_of(terminal_);
  // The cursor may stand anywhere: without automatic margins the rest stays in the last column. 7
  // and 8 save and restore the cursor.
  const std::string written = fmt::format(
      "{}\x1b"
      "7\x1b[?7l{}{}\x1b[?7h\x1b"
      "8",
      eraser(columns), front_of(text, columns - 1), erasure);
  if (write_all(terminal_, written) == 0) shown_columns_ = columns;
}

void LiveLine::erase() {
  if (shown_columns_ == 0) return;
  if (is_ours()) (void)write_all(terminal_, eraser(columns_of(terminal_)));
  shown_columns_ = 0;
}

}  // namespace memolock
