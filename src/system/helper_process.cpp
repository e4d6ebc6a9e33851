#include "src/system/helper_process.hpp"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "src/system/retry_syscall.hpp"

namespace memolock {
namespace {

struct Start {
  void (*body)(void*);
  void* argument;
  std::span<const int> kept;
};

bool close_all_but(std::span<const int> kept) noexcept {
  constexpr unsigned last = ~0U;
  for (unsigned from = 0;;) {
    unsigned next = last;
    for (const int fd : kept) {
      const auto number = static_cast<unsigned>(
          fd);  // -1 becomes the largest number, which no descriptor has
      if (number >= from) next = std::min(next, number);
    }
    const unsigned to = next == last ? last : next - 1;
    if (next > from && retry_syscall([&] { return close_range(from, to, 0); }) != 0) return false;
    if (next == last) return true;
    from = next + 1;
  }
}

int run_helper(void* start) {
  const auto& [body, argument, kept] = *static_cast<const Start*>(start);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  if (!close_all_but(kept)) _exit(EXIT_FAILURE);
  body(argument);
  _exit(EXIT_SUCCESS);
}

}  // namespace

pid_t start_helper_process(void (*body)(void*), void* argument,
                           std::span<const int> kept) noexcept {
  alignas(16) static std::array<char, 16384> stack;
  // Without close_range(), the helper would hold the locks of this process.
  if (close_range(~0U, ~0U, 0) != 0) return -1;
  Start start{body, argument, kept};
  // The helper gets memory of its own, because the out-of-memory killer kills every process that
  // shares the memory of its victim. It is not started by fork(), which would run the fork handlers
  // of libraries.
  return clone(run_helper, stack.data() + stack.size(), SIGCHLD, &start);
}

}  // namespace memolock
