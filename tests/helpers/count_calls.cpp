// count_calls DIRECTORY PROCESSES CALLS: starts PROCESSES processes, each of which counts CALLS
// hits of the tag t as fast as it can, while the counters are read and reset all the time. Prints
// the sums of hits and bytes; each hit has three bytes. Each call leaves a file open.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "src/stats/counters.hpp"

namespace {

using memolock::Counts;

void count(const char* directory, int calls) {
  memolock::Outcome hit = memolock::make_outcome(memolock::OutcomeKind::hit, 0);
  hit.bytes = 3;
  for (int i = 0; i < calls; ++i)
    memolock::count_call(directory, "t", hit, memolock::IfMissing::make);
  _exit(0);
}

/// Returns what was counted since the last call, and resets it.
Counts take(const char* directory) {
  const auto all = memolock::read_counts(directory, "t", memolock::AfterRead::reset);
  return all.empty() ? Counts{} : all.front().counts;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const char* const directory = argv[1];
  const int processes = std::atoi(argv[2]);
  const int calls = std::atoi(argv[3]);
  for (int i = 0; i < processes; ++i)
    if (fork() == 0) count(directory, calls);
  Counts sum;
  for (int left = processes; left >= 0;) {
    const pid_t ended = left > 0 ? waitpid(-1, nullptr, WNOHANG) : 0;
    if (ended > 0 || left == 0) --left;  // once all have ended, takes one last time
    const Counts taken = take(directory);
    sum.hits += taken.hits;
    sum.bytes += taken.bytes;
  }
  std::printf("%llu %llu\n", static_cast<unsigned long long>(sum.hits),
              static_cast<unsigned long long>(sum.bytes));
}
