// How long one waits for a server, and what ends the wait before.
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "src/clock.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"

namespace memolock {

class Patience {
 public:
  /// Begins now. `interrupt`: the descriptor that ends a wait when it is readable; -1: none.
  Patience(Nanoseconds length, int interrupt);

  /// Begins anew: the server has made progress.
  void renew();
  void set_interrupt(int interrupt) { interrupt_ = interrupt; }

  [[nodiscard]] Nanoseconds left() const;
  /// "WHAT within 2s", for when it is over.
  [[nodiscard]] Error over(const std::string& what) const;

  /// Sleeps until one of `waiting` has an event of its own. Returns false when `at_most` has passed
  /// first. Throws Error(store) "no answer within 2s" when patience is over, Error(interrupted).
  bool await(std::vector<pollfd>& waiting, Nanoseconds at_most) const;
  /// The same for `events` of one descriptor and as long as patience lasts.
  void await(int fd, short events) const;

 private:
  Nanoseconds length_;
  Nanoseconds deadline_;
  int interrupt_;
};

}  // namespace memolock
