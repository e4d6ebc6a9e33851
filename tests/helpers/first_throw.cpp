// Prints how long the first throw of a process takes, in nanoseconds. Linked like memolock.
#include <chrono>
#include <cstdio>
#include <stdexcept>

int main() {
  const auto start = std::chrono::steady_clock::now();
  try {
    throw std::runtime_error("first");
  } catch (const std::runtime_error&) {
    const std::chrono::nanoseconds cost = std::chrono::steady_clock::now() - start;
    std::printf("%lld\n", static_cast<long long>(cost.count()));
  }
}
