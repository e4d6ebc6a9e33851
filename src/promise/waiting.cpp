#include "src/promise/waiting.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "src/entry/held_lock.hpp"
#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Rounds to whole seconds: tenths would flicker on the live line.
Nanoseconds rounded(Nanoseconds length) {
  return length < seconds(1) ? length : std::chrono::floor<seconds>(length);
}

}  // namespace

bool Backoff::pause(int interrupt) {
  const WaitEnd end = await_readable(-1, interrupt, boot_now() + next_);
  ++pauses_;
  next_ = std::min<Nanoseconds>(2 * next_, pauses_ < 100 ? milliseconds(20) : milliseconds(100));
  return end != WaitEnd::interrupted;
}

bool Backoff::is_exhausted() const {
  constexpr int many = 16;
  return pauses_ >= many;
}

Nanoseconds deadline_of(const Request& request) {
  return request.wait ? after(request.asked_at, *request.wait) : forever;
}

std::string describe_holder(const Record& run) {
  if (run.foreign) return "another program";
  return fmt::format("{}:{}", escape_controls(run.holder.host), run.holder.pid);
}

std::string describe_run(const Record& run, Nanoseconds now) {
  if (run.foreign) return describe_holder(run);
  const std::string since = format_duration(rounded(std::max(now - run.begun, Nanoseconds(0))));
  return run.producer == Producer::external
             ? fmt::format("{}, promised {} ago", describe_holder(run), since)
             : fmt::format("{}, running for {}", describe_holder(run), since);
}

bool is_inside_run(const Request& request, const Record& run) {
  // Compares tokens: on a cluster a key may have two spellings.
  return std::any_of(request.held.begin(), request.held.end(), [&](const HeldLock& held) {
    return !held.token.empty() && held.token == run.token;
  });
}

void reject_deadlock(const Request& request, const Record& run) {
  if (is_inside_run(request, run))
    throw usage_error("deadlock: this command runs inside the run of " + request.key.shown() +
                      ", which it would wait for");
}

}  // namespace memolock
