#include "src/system/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdint>

#include "src/system/error.hpp"

namespace memolock {

double chance() {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits))
    throw system_error("cannot get random bytes", errno);
  constexpr int surplus = 11;  // a double has 53 bits
  constexpr double steps = 9007199254740992;
  return static_cast<double>((bits >> surplus) + 1) / steps;
}

}  // namespace memolock
