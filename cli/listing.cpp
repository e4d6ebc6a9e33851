#include "cli/listing.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "src/entry/freshness.hpp"
#include "src/system/text.hpp"

namespace memolock {

const char* state_of(const Record& record, Nanoseconds now) {
  if (record.disposition == Disposition::running) return "running";
  if (!is_retained(record, now)) return "expired";
  if (record.disposition == Disposition::failed) return "failed";
  if (time_left(record, now) <= Nanoseconds(0)) return "stale";
  // A mark has no output that could be served; its state says whether the last run succeeded.
  return record.disposition == Disposition::marked && !record.succeeded() ? "failed" : "fresh";
}

std::optional<Nanoseconds> age_or_run_time(const Record& record, Nanoseconds now) {
  if (record.disposition != Disposition::running && record.disposition != Disposition::marked)
    return age_of(record, now);
  if (record.foreign) return std::nullopt;
  return std::max(now - record.begun, Nanoseconds(0));
}

std::optional<Nanoseconds> time_left_of(const Record& record, Nanoseconds now) {
  const Nanoseconds left = time_left(record, now);
  if (record.disposition == Disposition::running || left <= Nanoseconds(0)) return std::nullopt;
  return left;
}

std::string holder_of(const Record& record) {
  if (record.holder.host.empty()) return "-";
  return fmt::format("{}:{}", escape_controls(record.holder.host), record.holder.pid);
}

Json seconds_left(const std::optional<Nanoseconds>& left) {
  if (!left) return 0;
  return *left == forever ? Json() : seconds(left);
}

}  // namespace memolock
