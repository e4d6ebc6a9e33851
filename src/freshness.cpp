#include "src/freshness.hpp"

#include <algorithm>

namespace memolock {

std::optional<Nanoseconds> age_of(const Record& record, Nanoseconds now) {
  if (record.ended > now) return std::nullopt;
  return now - record.ended;
}

Nanoseconds time_left(const Record& record, Nanoseconds now) {
  const auto age = age_of(record, now);
  if (!age) return Nanoseconds(0);
  return record.ttl == forever ? forever : record.ttl - *age;
}

bool is_fresh(const Record& record, const Wish& wish, Nanoseconds now) {
  if (!answers_waiter(record, wish)) return false;
  const auto age = age_of(record, now);
  if (!age) return false;
  // A command that says how long its result lives knows better than the caller's default.
  const bool wish_counts = wish.ttl && !record.ttl_by_command;
  return *age < (wish_counts ? std::min(record.ttl, *wish.ttl) : record.ttl);
}

bool answers_waiter(const Record& record, const Wish& wish) {
  return !wish.begun_since || record.begun >= *wish.begun_since;
}

}  // namespace memolock
