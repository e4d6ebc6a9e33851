// Whether a stored result may be used. Pure functions of a record, a policy, the time and a random
// number; `now` is always on the store's clock.
#pragma once

#include <optional>

#include "src/entry/record.hpp"

namespace memolock {

/// The conditions under which a reader accepts a stored result.
struct FreshnessPolicy {
  /// The reader's own limit on the age of an entry; none for a look-up, which uses the ttl of the
  /// entry.
  std::optional<Nanoseconds> ttl{};
  /// Accept no run that began before this time on the store's clock (--refresh).
  std::optional<Nanoseconds> begun_since{};
  Nanoseconds stale{0};           ///< --stale
  Nanoseconds stale_if_error{0};  ///< --stale-if-error
  std::optional<double> early{};  ///< --early: beta
  /// The reader's own limit on the age of a stored failure (--cache-failures); none: the ttl of the
  /// failure.
  std::optional<Nanoseconds> failure_ttl{};
};

/// How long ago the run ended. Nothing if that is unknown: a foreign entry has no such time, and a
/// time in the future means that the clock was set back. An entry dated in the future is not fresh.
[[nodiscard]] std::optional<Nanoseconds> age_of(const Record& record, Nanoseconds now);

/// How long the entry stays fresh by its own ttl; zero or less if it has expired.
[[nodiscard]] Nanoseconds time_left(const Record& record, Nanoseconds now);

/// Whether the record's ttl or a window that was stored with it has not passed yet. A record that
/// is not retained is expired: only `--on-timeout stale` can still serve it.
[[nodiscard]] bool is_retained(const Record& record, Nanoseconds now);

/// Whether an entry is fresh for this reader. A foreign one is fresh as long as it exists, unless
/// the policy has `begun_since`.
[[nodiscard]] bool is_fresh(const Record& record, const FreshnessPolicy& policy, Nanoseconds now);

/// Whether a fresh entry is to be refreshed before it expires. By the XFetch rule (Vattani et al.,
/// VLDB 2015), it is if the time left is at most run time × beta × −ln(chance), `chance` being
/// uniform in (0, 1].
[[nodiscard]] bool is_due_early(const Record& record, const FreshnessPolicy& policy,
                                Nanoseconds now, double chance);

/// Whether an entry that is not fresh may be served while it is refreshed. Never if it is
/// not retained, whatever the policy.
[[nodiscard]] bool is_stale(const Record& record, const FreshnessPolicy& policy, Nanoseconds now);

/// Whether an entry that is not fresh may be served because refreshing it has failed. Never if it
/// is not retained, whatever the policy.
[[nodiscard]] bool serves_on_error(const Record& record, const FreshnessPolicy& policy,
                                   Nanoseconds now);

/// Whether a stored failure may be served: it is recent enough, and not older than the entry, which
/// may be null.
[[nodiscard]] bool is_failure_usable(const Record& failure, const Record* entry,
                                     const FreshnessPolicy& policy, Nanoseconds now);

/// Whether a stored failure is so recent that the command is not to be run again yet, and the stale
/// entry is to be served instead.
[[nodiscard]] bool is_retry_too_soon(const Record& failure, const Record& entry,
                                     const FreshnessPolicy& policy, Nanoseconds now);

/// Whether the marked run began less than `ttl` ago, so that `once` does not run the command again.
/// False if the mark has expired.
[[nodiscard]] bool is_recent_run(const Record& mark, Nanoseconds ttl, Nanoseconds now);

/// When the run of the record began: the recorded time, or the end minus the run time if that is
/// earlier. If the clock was set back during the run, the recorded time is too late.
[[nodiscard]] Nanoseconds began_at(const Record& record);

/// Whether the reader accepts a run that ended while it waited, even if its ttl has passed or is 0.
[[nodiscard]] bool answers_waiter(const Record& record, const FreshnessPolicy& policy);

/// A ttl shortened by up to `percent` at random; `chance` is uniform in (0, 1].
[[nodiscard]] Nanoseconds with_jitter(Nanoseconds ttl, double percent, double chance);

}  // namespace memolock
