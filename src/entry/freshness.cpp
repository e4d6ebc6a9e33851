#include "src/entry/freshness.hpp"

#include <algorithm>
#include <cmath>

namespace memolock {
namespace {

/// How long after the end of its run the entry is fresh for this reader.
Nanoseconds fresh_for(const Record& record, const FreshnessPolicy& policy) {
  // A ttl that the command has set takes precedence: the command knows its result better than the
  // caller.
  if (!policy.ttl || record.ttl_by_command) return record.ttl;
  return std::min(record.ttl, *policy.ttl);
}

/// Whether the entry is acceptable, was fresh until less than `window` ago, and is retained.
/// Without the last condition, stores would differ for a reader whose window is longer than the
/// writer's: a directory would serve the entry until the next gc, a server would not serve it.
bool is_within(Nanoseconds window, const Record& record, const FreshnessPolicy& policy,
               Nanoseconds now) {
  if (window == Nanoseconds(0) || !answers_waiter(record, policy)) return false;
  const auto age = age_of(record, now);
  return age && is_retained(record, now) && *age < after(fresh_for(record, policy), window);
}

/// Whether the failure ended after the entry, and less than `limit` ago.
bool is_recent(const Record& failure, const Record* entry, Nanoseconds limit, Nanoseconds now) {
  if (entry != nullptr && entry->ended > failure.ended) return false;
  const auto age = age_of(failure, now);
  return age && *age < limit;
}

}  // namespace

std::optional<Nanoseconds> age_of(const Record& record, Nanoseconds now) {
  if (record.foreign || record.ended > now) return std::nullopt;
  return now - record.ended;
}

Nanoseconds time_left(const Record& record, Nanoseconds now) {
  if (record.foreign) return record.ttl;
  const auto age = age_of(record, now);
  if (!age) return Nanoseconds(0);
  return record.ttl == forever ? forever : record.ttl - *age;
}

bool is_retained(const Record& record, Nanoseconds now) {
  if (record.foreign) return true;
  const auto age = age_of(record, now);
  return age && *age < record.retained;
}

bool is_fresh(const Record& record, const FreshnessPolicy& policy, Nanoseconds now) {
  if (!answers_waiter(record, policy)) return false;
  if (record.foreign) return true;
  const auto age = age_of(record, now);
  return age && *age < fresh_for(record, policy);
}

bool is_due_early(const Record& record, const FreshnessPolicy& policy, Nanoseconds now,
                  double chance) {
  const auto age = age_of(record, now);
  const Nanoseconds ttl = fresh_for(record, policy);
  if (!policy.early || !age || ttl == forever) return false;
  const double left = std::chrono::duration<double>(ttl - *age).count();
  const double run = std::chrono::duration<double>(record.run_time).count();
  return run * *policy.early * -std::log(chance) >= left;
}

bool is_stale(const Record& record, const FreshnessPolicy& policy, Nanoseconds now) {
  return is_within(record.stale_by_command ? record.stale : policy.stale, record, policy, now);
}

bool serves_on_error(const Record& record, const FreshnessPolicy& policy, Nanoseconds now) {
  return is_within(policy.stale_if_error, record, policy, now);
}

bool is_failure_usable(const Record& failure, const Record* entry, const FreshnessPolicy& policy,
                       Nanoseconds now) {
  if (!answers_waiter(failure, policy)) return false;
  return is_recent(failure, entry, std::min(failure.ttl, policy.failure_ttl.value_or(forever)),
                   now);
}

bool is_retry_too_soon(const Record& failure, const Record& entry, const FreshnessPolicy& policy,
                       Nanoseconds now) {
  return answers_waiter(failure, policy) && is_recent(failure, &entry, failure.retained, now);
}

bool is_recent_run(const Record& mark, Nanoseconds ttl, Nanoseconds now) {
  const auto age = age_of(mark, now);
  return age && *age < mark.ttl && now - began_at(mark) < ttl;
}

Nanoseconds began_at(const Record& record) {
  return std::min(record.begun, record.ended - record.run_time);
}

bool answers_waiter(const Record& record, const FreshnessPolicy& policy) {
  if (!policy.begun_since) return true;
  return began_at(record) >= *policy.begun_since;
}

Nanoseconds with_jitter(Nanoseconds ttl, double percent, double chance) {
  if (ttl == forever || percent <= 0) return ttl;
  const auto most = static_cast<double>(ttl.count()) * percent / 100;
  // Never shortened to 0, which would mean that the result is not stored.
  return std::max(ttl - Nanoseconds(static_cast<int64_t>(most * chance)),
                  Nanoseconds(ttl > Nanoseconds(0)));
}

}  // namespace memolock
