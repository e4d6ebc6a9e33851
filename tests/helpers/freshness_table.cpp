// Checks the decisions of src/entry/freshness.hpp against a table, and their effect in a long
// simulation. Prints what does not hold; the exit status is then 1.
#include <cmath>
#include <cstdio>

#include "src/entry/freshness.hpp"

using namespace memolock;
using namespace std::chrono_literals;

namespace {

int wrong = 0;

void expect(bool truth, const char* what) {
  if (truth) return;
  std::printf("does not hold: %s\n", what);
  wrong = 1;
}
#define EXPECT(truth) expect(truth, #truth)

constexpr Nanoseconds now = 1000000s;

Record made(Nanoseconds ago, Nanoseconds ttl, Nanoseconds run_time = 2s) {
  Record record;
  record.disposition = Disposition::kept;
  record.ended = now - ago;
  record.begun = record.ended - run_time;
  record.run_time = run_time;
  record.ttl = record.retained = ttl;
  return record;
}

Record by_command(Record record) {
  record.ttl_by_command = true;
  return record;
}

void check_fresh() {
  EXPECT(is_fresh(made(9s, 10s), {}, now));
  EXPECT(!is_fresh(made(10s, 10s), {}, now));
  EXPECT(is_fresh(made(9s, 10s), {.ttl = 1h}, now));
  EXPECT(!is_fresh(made(9s, 10s), {.ttl = 5s}, now));
  EXPECT(is_fresh(by_command(made(9s, 10s)), {.ttl = 5s}, now));
  EXPECT(is_fresh(made(1000s, forever), {}, now));
  EXPECT(is_fresh(made(1000s, forever), {.ttl = forever}, now));
  // a clock that was set back does not make an entry fresh forever
  EXPECT(!is_fresh(made(-1s, 10s), {}, now));
  EXPECT(!is_fresh(made(-1s, forever), {}, now));
  EXPECT(is_fresh(made(1s, 10s), {.begun_since = now - 3s}, now));
  EXPECT(!is_fresh(made(1s, 10s), {.begun_since = now - 2s}, now));
  // nor does it hide that a run began before a call
  Record set_back = made(1s, 10s);
  set_back.begun = now + 1h;
  EXPECT(!is_fresh(set_back, {.begun_since = now - 2s}, now));
  EXPECT(is_fresh(set_back, {.begun_since = now - 3s}, now));
}

/// Still retained when its ttl has passed, for as long as any window of a policy here.
Record past_ttl(Nanoseconds ago, Nanoseconds ttl) {
  Record record = made(ago, ttl);
  record.retained = forever;
  return record;
}

void check_stale() {
  const FreshnessPolicy policy{.stale = 5s};
  EXPECT(is_stale(past_ttl(14s, 10s), policy, now));
  EXPECT(!is_stale(past_ttl(15s, 10s), policy, now));
  EXPECT(!is_stale(past_ttl(14s, 10s), {}, now));
  EXPECT(is_stale(past_ttl(8s, 10s), {.ttl = 4s, .stale = 5s}, now));
  EXPECT(!is_stale(past_ttl(9s, 10s), {.ttl = 4s, .stale = 5s}, now));
  EXPECT(is_stale(past_ttl(1000000s, 10s), {.stale = forever}, now));
  EXPECT(!is_stale(past_ttl(-1s, 10s), {.stale = forever}, now));
  EXPECT(!is_stale(past_ttl(14s, 10s), {.begun_since = now - 1s, .stale = 5s}, now));
  Record chosen = past_ttl(14s, 10s);
  chosen.stale_by_command = true;
  chosen.stale = 3s;
  EXPECT(!is_stale(chosen, policy, now));
  chosen.stale = 1h;
  EXPECT(is_stale(chosen, {}, now));
  EXPECT(serves_on_error(past_ttl(14s, 10s), {.stale_if_error = 5s}, now));
  EXPECT(!serves_on_error(past_ttl(14s, 10s), policy, now));
  // a reader's window does not extend that of the writer
  Record retained = past_ttl(14s, 10s);
  retained.retained = 15s;
  EXPECT(is_retained(retained, now));
  EXPECT(is_stale(retained, {.stale = forever}, now));
  EXPECT(serves_on_error(retained, {.stale_if_error = forever}, now));
  EXPECT(!is_retained(retained, now + 1s));
  EXPECT(!is_stale(retained, {.stale = forever}, now + 1s));
  EXPECT(!serves_on_error(retained, {.stale_if_error = forever}, now + 1s));
  EXPECT(!is_retained(past_ttl(-1s, 10s), now));
}

void check_failures() {
  Record failure = made(5s, 10s);
  failure.disposition = Disposition::failed;
  failure.retained = 20s;
  const Record older = made(30s, 10s);
  const Record newer = made(3s, 1s);
  EXPECT(is_failure_usable(failure, nullptr, {}, now));
  EXPECT(is_failure_usable(failure, &older, {}, now));
  EXPECT(!is_failure_usable(failure, &newer, {}, now));
  EXPECT(!is_failure_usable(failure, nullptr, {.failure_ttl = 5s}, now));
  EXPECT(!is_failure_usable(failure, nullptr, {.begun_since = now}, now));
  EXPECT(!is_failure_usable(failure, nullptr, {}, now + 5s));
  EXPECT(is_retry_too_soon(failure, older, {}, now + 14s));
  EXPECT(!is_retry_too_soon(failure, older, {}, now + 15s));
  EXPECT(!is_retry_too_soon(failure, newer, {}, now));
}

void check_jitter() {
  EXPECT(with_jitter(100s, 0, 1) == 100s);
  EXPECT(with_jitter(100s, 10, 1) == 90s);
  EXPECT(with_jitter(100s, 10, 0.5) == 95s);
  EXPECT(with_jitter(100s, 100, 1) > 0s);
  EXPECT(with_jitter(0s, 100, 1) == 0s);
  EXPECT(with_jitter(forever, 50, 0.5) == forever);
}

/// By the rule, a reader refreshes with the probability exp(-left / (run × beta)) when `left`
/// remains.
void check_early() {
  EXPECT(!is_due_early(made(1s, 10s), {}, now, 1e-300));
  EXPECT(!is_due_early(made(1s, forever), {.early = 1}, now, 1e-300));
  EXPECT(!is_due_early(made(1s, 10s), {.early = 1}, now, 1));
  constexpr int draws = 100000;
  for (const double beta : {0.5, 1.0, 3.0}) {
    for (const Nanoseconds left : {100ms, 1000ms, 4000ms}) {
      int due = 0;
      for (int i = 1; i <= draws; ++i)
        due += is_due_early(made(10s - left, 10s), {.early = beta}, now, double(i) / draws) ? 1 : 0;
      const double expected = std::exp(-std::chrono::duration<double>(left).count() / (2 * beta));
      EXPECT(std::abs(double(due) / draws - expected) < 2.0 / draws);
    }
  }
}

/// With readers at a steady rate, the first refresh occurs on average run × beta × (ln(rate × run ×
/// beta) + 0.577) before the end: the minimum of exponential draws, one for each reader, shifted by
/// the time of the reader.
void simulate_early() {
  constexpr int rate = 100;  // readers per second
  constexpr double run = 2;
  constexpr int lives = 2000;
  double before = 0;
  uint64_t state = 1;
  const auto draw = [&state] {  // xorshift, which gives the same numbers in each run
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double(state >> 11) + 1) / 9007199254740992.0;
  };
  for (int life = 0; life < lives; ++life) {
    constexpr int ttl = 60;
    for (int reader = 0; reader < ttl * rate; ++reader) {
      const Nanoseconds age = std::chrono::milliseconds(reader * 1000 / rate);
      if (!is_due_early(made(age, std::chrono::seconds(ttl)), {.early = 1}, now, draw())) continue;
      before += ttl - std::chrono::duration<double>(age).count();
      break;
    }
  }
  const double expected = run * (std::log(rate * run) + 0.5772);
  EXPECT(std::abs(before / lives - expected) < 0.2);
}

}  // namespace

int main() {
  check_fresh();
  check_stale();
  check_failures();
  check_jitter();
  check_early();
  simulate_early();
  return wrong;
}
