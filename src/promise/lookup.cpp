#include "src/promise/lookup.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "src/promise/replay.hpp"
#include "src/promise/run_messages.hpp"
#include "src/system/random.hpp"
#include "src/system/text.hpp"

namespace memolock {

namespace {

/// Whether the streams and, if the request asks for them, the artifacts are larger than it allows.
bool is_too_large(const Record& record, const Request& request) {
  const uint64_t files = request.artifacts.empty() ? 0 : record.files_size;
  const uint64_t streams = streams_size(record);
  return streams > request.max_entry || files > request.max_entry - streams;
}

}  // namespace

Lookup::Lookup(const Request& request, Store& store, const Log& log)
    : request_(request), store_(store), log_(log), once_log_(log) {
  policy_.ttl = request.ttl;
  policy_.stale = request.stale;
  policy_.stale_if_error = request.stale_if_error;
  policy_.early = request.early;
  policy_.failure_ttl = request.cache_failures;
  if (!request.artifacts.empty()) store.include_artifacts();
}

LookupResult Lookup::look_up() {
  auto entry = store_.look_up(request_.key);
  const Nanoseconds now = entry ? store_.now() : Nanoseconds(0);
  if (entry && !entry->record().foreign) last_run_time_ = entry->record().run_time;
  if (!entry || !is_fresh(entry->record(), policy_, now))
    return resolve_expired(std::move(entry), now);
  if (!is_servable(*entry)) return resolve_expired(nullptr, now);
  if (!decide_early_refresh(entry->record(), now))
    return {LookupResult::Kind::fresh, std::move(entry)};
  fallback_ = std::move(entry);
  return {};
}

/// Without a fresh entry: decides between an expired entry, a stored failure, and no answer.
LookupResult Lookup::resolve_expired(std::unique_ptr<Entry> entry, Nanoseconds now) {
  if (entry) log_expired(entry->record(), now);
  const bool is_usable = entry &&
                         (is_stale(entry->record(), policy_, now) ||
                          serves_on_error(entry->record(), policy_, now)) &&
                         is_servable(*entry);
  LookupResult failure = resolve_failure(entry, is_usable, now);
  if (failure.kind != LookupResult::Kind::none) return failure;
  if (!is_usable) {
    if (request_.on_timeout == OnTimeout::stale) expired_ = std::move(entry);
    return {};
  }
  if (is_stale(entry->record(), policy_, now))
    return {LookupResult::Kind::stale_and_refresh, std::move(entry)};
  fallback_ = std::move(entry);
  return {};
}

/// The effect of a stored failure on `entry`, the expired entry: the failure itself is the answer;
/// or it is too soon to run the command again, so that `entry` is the answer (and is moved from);
/// or the failure has no effect. Sets `now` to the time at which this was decided.
LookupResult Lookup::resolve_failure(std::unique_ptr<Entry>& entry, bool is_usable,
                                     Nanoseconds& now) {
  auto failure = store_.look_up_failure(request_.key);
  if (!failure || !is_servable(*failure)) return {};
  const Record& record = failure->record();
  const Record* const expired = entry ? &entry->record() : nullptr;
  now = store_.now();
  if (!age_of(record, now) && !record.foreign)
    once_log_.info("{}: the stored failure is dated in the future; ignored", request_.key.shown());
  if (is_usable && is_retry_too_soon(record, *expired, policy_, now)) {
    once_log_.info("{}: too soon to run the command again: it {}", request_.key.shown(),
                   describe_failure(record));
    return {LookupResult::Kind::stale, std::move(entry)};
  }
  if (is_failure_usable(record, expired, policy_, now))
    return {LookupResult::Kind::fresh, std::move(failure)};
  return {};
}

void Lookup::log_expired(const Record& record, Nanoseconds now) {
  if (record.ended == logged_expired_) return;
  logged_expired_ = record.ended;
  std::string_view fault = "not fresh";
  if (!answers_waiter(record, policy_))
    fault = record.foreign ? "of unknown age (--refresh)" : "older than this call (--refresh)";
  log_.info("{}: the entry is {}: {}", request_.key.shown(), fault, describe_age(record, now));
}

bool Lookup::is_servable(Entry& entry) {
  if (is_too_large(entry.record(), request_)) {
    once_log_.info("{}: {}", request_.key.shown(), describe_too_large(request_.max_entry));
    return false;
  }
  if (!entry.is_intact()) {
    once_log_.info("{}: {} is damaged; treated as a miss", request_.key.shown(),
                   describe_disposition(entry.record().disposition));
    return false;
  }
  if (request_.artifacts.empty() || !entry.record().succeeded()) return true;
  return !rejects_artifacts_ && has_artifacts(entry);
}

/// Whether the entry has all artifacts that the request asks for, intact.
bool Lookup::has_artifacts(Entry& entry) {
  const Record& record = entry.record();
  const auto& stored = record.artifacts;
  for (const std::string& path : request_.artifacts) {
    if (record.files_size > 0 && std::find(stored.begin(), stored.end(), path) != stored.end())
      continue;
    once_log_.info("{}: the entry has no artifact {}; treated as a miss", request_.key.shown(),
                   escape_controls(path));
    return false;
  }
  if (entry.files()) return true;
  once_log_.info("{}: the artifacts of the entry are missing or damaged; treated as a miss",
                 request_.key.shown());
  return false;
}

/// Whether this caller is to refresh a fresh entry early. The random choice is made once, and
/// applies only to that entry, not to one that has replaced it.
bool Lookup::decide_early_refresh(const Record& record, Nanoseconds now) {
  if (!policy_.early || request_.command.empty()) return false;
  if (std::exchange(early_decided_, true))
    return !early_token_.empty() && record.token == early_token_;
  if (!is_due_early(record, policy_, now, random_unit())) return false;
  log_.info("{}: {}; refreshing it before it expires", request_.key.shown(),
            describe_age(record, now));
  early_token_ = record.token;
  return true;
}

std::unique_ptr<Entry> Lookup::take_entry_due_early() {
  return early_token_.empty() ? nullptr : std::move(fallback_);
}

}  // namespace memolock
