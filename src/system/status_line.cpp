#include "src/system/status_line.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

#include "src/system/descriptor.hpp"
#include "src/system/utf8.hpp"

namespace memolock {
namespace {

constexpr std::string_view erase_screen_end = "\x1b[J";

int columns_of(int terminal) {
  constexpr int usual = 80;
  winsize size{};
  return ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

/// Whether this process is in the foreground of the terminal, and the terminal accepts output.
/// Async-signal-safe.
bool is_ours(int terminal) {
  pollfd takes{.fd = terminal, .events = POLLOUT, .revents = 0};
  return tcgetpgrp(terminal) == getpgrp() && poll(&takes, 1, 0) == 1 &&
         (takes.revents & POLLOUT) != 0;
}

// The terminal that shows a line, or -1; and the action of TSTP before the line was shown.
volatile sig_atomic_t line_terminal = -1;
struct sigaction usual_stop {};

/// The handler of TSTP: erases the line and stops the process as TSTP would have. When the process
/// is continued, the next text shows the line again.
void erase_and_stop(int signal_number) {
  const int error = errno;
  const int terminal = line_terminal;
  if (is_ours(terminal))
    (void)!write(terminal, StatusLine::erasure.data(), StatusLine::erasure.size());
  struct sigaction ours {};
  sigaction(signal_number, &usual_stop, &ours);
  raise(signal_number);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, signal_number);
  // The signal is blocked in its handler: only now does it stop the process.
  sigprocmask(SIG_UNBLOCK, &stop, nullptr);
  sigaction(signal_number, &ours, nullptr);
  errno = error;
}

void erase_when_stopped(int terminal) {
  if (line_terminal >= 0 || sigaction(SIGTSTP, nullptr, &usual_stop) != 0 ||
      usual_stop.sa_handler != SIG_DFL)
    return;
  struct sigaction action {};
  action.sa_handler = erase_and_stop;
  action.sa_flags = SA_RESTART;
  line_terminal = terminal;
  sigaction(SIGTSTP, &action, nullptr);
}

void stop_as_usual() {
  if (line_terminal < 0) return;
  sigaction(SIGTSTP, &usual_stop, nullptr);
  line_terminal = -1;
}

}  // namespace

bool StatusLine::is_supported(int fd) {
  if (isatty(fd) == 0) return false;
  const char* const name = getenv("TERM");
  return name != nullptr && *name != '\0' && std::string_view(name) != "dumb";
}

/// The sequence that erases the text. If the terminal has become narrower, it may have wrapped the
/// text to several lines.
std::string_view StatusLine::eraser(int columns) const {
  return columns < shown_columns_ ? erase_screen_end : erasure;
}

void StatusLine::show(std::string_view text) {
  if (!is_ours(terminal_)) return;
  erase_when_stopped(terminal_);
  const int columns = columns_of(terminal_);
  // The cursor may be in any column: without automatic margins, text that does not fit stays in the
  // last column. ESC 7 and ESC 8 save and restore the cursor.
  const std::string written = fmt::format(
      "{}\x1b"
      "7\x1b[?7l{}{}\x1b[?7h\x1b"
      "8",
      eraser(columns), first_characters(text, static_cast<size_t>(columns) - 1), erasure);
  if (write_all(terminal_, written) == 0) shown_columns_ = columns;
}

void StatusLine::erase() {
  if (shown_columns_ != 0 && is_ours(terminal_))
    (void)write_all(terminal_, eraser(columns_of(terminal_)));
  stop_as_usual();
  shown_columns_ = 0;
}

}  // namespace memolock
