#include "src/system/random.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "src/system/error.hpp"
#include "src/system/percent.hpp"

namespace memolock {
namespace {

void fill(void* into, size_t size) {
  if (getrandom(into, size, 0) != static_cast<ssize_t>(size))
    throw system_error("cannot get random bytes", errno);
}

}  // namespace

double random_unit() {
  uint64_t bits = 0;
  fill(&bits, sizeof bits);
  constexpr int surplus = 11;  // the mantissa of a double has 53 bits
  constexpr double steps = 9007199254740992;
  return static_cast<double>((bits >> surplus) + 1) / steps;
}

std::string random_name() {
  std::array<unsigned char, 16> bytes{};
  fill(bytes.data(), bytes.size());
  return hex(bytes.data(), bytes.size());
}

}  // namespace memolock
