#include "cli/progress.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>

#include <fmt/format.h>

namespace memolock {
namespace {

constexpr std::chrono::seconds patience{1};
constexpr std::chrono::milliseconds pace{100};
constexpr std::array<int, 3> endings{SIGINT, SIGTERM, SIGHUP};

/// The handler of signals that end the process. SA_RESETHAND restores the default action, so
/// raising the signal again ends the process.
void erase_and_end(int signal) {
  (void)!write(STDERR_FILENO, StatusLine::erasure.data(), StatusLine::erasure.size());
  raise(signal);
}

void set_handlers(void (*handler)(int)) {
  for (const int signal : endings) {
    struct sigaction old {};
    if (sigaction(signal, nullptr, &old) != 0 || old.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace

ProgressLine::ProgressLine(Level level)
    : on_(level != Level::quiet && StatusLine::is_supported(STDERR_FILENO)),
      next_(boot_now() + patience) {}

ProgressLine::~ProgressLine() { end(); }

void ProgressLine::show(std::string_view done, size_t count) {
  if (!on_ || boot_now() < next_) return;
  if (!line_) {
    set_handlers(erase_and_end);
    line_.emplace(STDERR_FILENO);
  }
  next_ = boot_now() + pace;
  line_->show(fmt::format("memolock: {} {} so far", count, done));
}

void ProgressLine::end() {
  on_ = false;
  if (!line_) return;
  line_.reset();
  set_handlers(SIG_DFL);
}

}  // namespace memolock
