#include "src/patience.hpp"

#include <algorithm>

#include "src/units.hpp"

namespace memolock {

Patience::Patience(Nanoseconds length, int interrupt)
    : length_(length), deadline_(after(boot_now(), length)), interrupt_(interrupt) {}

void Patience::renew() { deadline_ = after(boot_now(), length_); }

Nanoseconds Patience::left() const {
  if (deadline_ == forever) return forever;
  return std::max(deadline_ - boot_now(), Nanoseconds(0));
}

Error Patience::over(const std::string& what) const {
  return store_error(what + " within " + format_duration(length_));
}

bool Patience::await(std::vector<pollfd>& waiting, Nanoseconds at_most) const {
  waiting.push_back({.fd = interrupt_, .events = POLLIN, .revents = 0});
  const Ready ready = await_events(waiting, std::min(after(boot_now(), at_most), deadline_));
  waiting.pop_back();
  if (ready == Ready::interrupted) throw Error(Error::Kind::interrupted, "interrupted");
  if (ready == Ready::timed_out && left() == Nanoseconds(0)) throw over("no answer");
  return ready == Ready::readable;
}

void Patience::await(int fd, short events) const {
  std::vector<pollfd> waiting{{.fd = fd, .events = events, .revents = 0}};
  waiting.reserve(2);
  while (!await(waiting, forever)) {
  }
}

}  // namespace memolock
