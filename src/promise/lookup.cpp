#include "src/promise/lookup.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "src/artifacts/restore.hpp"
#include "src/promise/run.hpp"
#include "src/system/error.hpp"
#include "src/system/random.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"
#include "src/system/write_streams.hpp"

namespace memolock {

namespace {

uint64_t streams_size(const Record& record) {
  const uint64_t sum = record.out_size + record.err_size;
  return sum < record.out_size ? UINT64_MAX : sum;
}

/// Whether what would be read of it is more than the request allows.
bool is_too_large(const Record& record, const Request& request) {
  const uint64_t files = request.artifacts.empty() ? 0 : record.files_size;
  const uint64_t streams = streams_size(record);
  return streams > request.max_entry || files > request.max_entry - streams;
}

}  // namespace

Lookup::Lookup(const Request& request, Store& store, const Log& log)
    : request_(request), store_(store), log_(log), once_(log) {
  policy_.ttl = request.ttl;
  policy_.stale = request.stale;
  policy_.stale_if_error = request.stale_if_error;
  policy_.early = request.early;
  policy_.failure_ttl = request.cache_failures;
  if (!request.artifacts.empty()) store.include_artifacts();
}

LookupResult Lookup::look() {
  auto entry = store_.look_up(request_.key);
  const Nanoseconds now = entry ? store_.now() : Nanoseconds(0);
  if (entry && !entry->record().foreign) last_run_time_ = entry->record().run_time;
  if (!entry || !is_fresh(entry->record(), policy_, now))
    return judge_expired(std::move(entry), now);
  if (!is_whole(*entry)) return judge_expired(nullptr, now);
  if (!is_to_be_refreshed(entry->record(), now))
    return {LookupResult::Kind::fresh, std::move(entry)};
  fallback_ = std::move(entry);
  return {};
}

/// What to do where no fresh entry is: with an old one, with a failure, or with nothing.
LookupResult Lookup::judge_expired(std::unique_ptr<Entry> entry, Nanoseconds now) {
  if (entry && entry->record().ended != reported_expiry_) {
    reported_expiry_ = entry->record().ended;
    log_.info("{}: the entry is {}, and {}", request_.key.shown(),
              describe_age(entry->record(), now),
              answers_waiter(entry->record(), policy_) ? "not fresh enough"
                                                       : "from before this call (--refresh)");
  }
  const bool usable = entry &&
                      (is_stale(entry->record(), policy_, now) ||
                       serves_on_error(entry->record(), policy_, now)) &&
                      is_whole(*entry);

  auto failure = store_.failure(request_.key);
  if (failure && is_whole(*failure)) {
    now = store_.now();
    if (!age_of(failure->record(), now) && !failure->record().foreign)
      once_.info("{}: the stored failure is dated in the future; it counts as absent",
                 request_.key.shown());
    const Record* const beside = entry ? &entry->record() : nullptr;
    if (usable && is_retry_too_soon(failure->record(), *beside, policy_, now)) {
      once_.info("{}: too soon to run the command again: it {}", request_.key.shown(),
                 describe_failure(failure->record()));
      return {LookupResult::Kind::stale, std::move(entry)};
    }
    if (is_failure_usable(failure->record(), beside, policy_, now))
      return {LookupResult::Kind::fresh, std::move(failure)};
  }
  if (!usable) {
    if (request_.on_timeout == OnTimeout::stale) expired_ = std::move(entry);
    return {};
  }
  if (is_stale(entry->record(), policy_, now))
    return {LookupResult::Kind::stale_and_refresh, std::move(entry)};
  fallback_ = std::move(entry);
  return {};
}

bool Lookup::is_whole(Entry& entry) {
  if (is_too_large(entry.record(), request_)) {
    once_.info("{}: {}", request_.key.shown(), describe_too_large(request_.max_entry));
    return false;
  }
  if (!entry.is_intact()) {
    once_.info("{}: {} is damaged; it counts as absent", request_.key.shown(),
               describe_disposition(entry.record().disposition));
    return false;
  }
  const Record& record = entry.record();
  if (request_.artifacts.empty() || !record.succeeded()) return true;
  if (refuses_artifacts_) return false;
  const auto& there = record.artifacts;
  for (const std::string& path : request_.artifacts) {
    if (record.files_size > 0 && std::find(there.begin(), there.end(), path) != there.end())
      continue;
    once_.info("{}: the entry has no {}; it counts as absent", request_.key.shown(),
               escape_controls(path));
    return false;
  }
  if (entry.files()) return true;
  once_.info("{}: the artifacts of the entry are missing or damaged; it counts as absent",
             request_.key.shown());
  return false;
}

/// Whether a fresh entry is to be refreshed by this caller: the lot is drawn once, and then counts
/// for this entry, not for one that has come instead.
bool Lookup::is_to_be_refreshed(const Record& record, Nanoseconds now) {
  if (!policy_.early || request_.command.empty()) return false;
  if (std::exchange(has_drawn_early_, true)) return !early_.empty() && record.token == early_;
  if (!is_due_early(record, policy_, now, random_unit())) return false;
  log_.info("{}: {}, and refreshed before it expires", request_.key.shown(),
            describe_age(record, now));
  early_ = record.token;
  return true;
}

std::unique_ptr<Entry> Lookup::take_due_early() {
  return early_.empty() ? nullptr : std::move(fallback_);
}

std::string describe_age(const Record& record, Nanoseconds now) {
  if (record.foreign) return "another program's";
  const auto age = age_of(record, now);
  return age ? format_duration(*age) + " old" : "dated in the future";
}

void restore_artifacts(const Request& request, Entry& entry, const Signals& signals) {
  const Record& record = entry.record();
  if (request.artifacts.empty() || !record.succeeded()) return;
  const auto archive = entry.files();
  if (!archive) throw store_error("the stored artifacts are damaged");
  restore(*archive, record.artifacts, request.artifacts, request.max_entry - streams_size(record),
          signals.descriptor());
}

Outcome replay(Entry& entry, OutcomeKind kind, Store& store, const Signals& signals,
               const std::function<int()>& before_err) noexcept {
  const Record& record = entry.record();
  Outcome outcome = make_outcome(kind, record.status);
  (void)failure_of([&] { outcome.age = age_of(record, store.now()); });
  outcome.run_time = record.run_time;
  outcome.bytes = record.out_size + record.err_size;
  signals.unblock();
  const auto write_err = [&] {
    const int error = before_err ? before_err() : 0;
    const int other = entry.write(Stream::err, STDERR_FILENO);
    return error != 0 ? error : other;
  };
  outcome.output_error = write_streams(
      {STDOUT_FILENO, record.out_size,
       [&entry] { return entry.write(Stream::out, STDOUT_FILENO); }},
      {STDERR_FILENO, before_err ? size_unknown : record.err_size, std::ref(write_err)});
  return outcome;
}

}  // namespace memolock
