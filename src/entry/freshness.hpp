// Decisions on what is stored, pure: the clock and a random number are passed in.
#pragma once

#include <optional>

#include "src/entry/record.hpp"

namespace memolock {

/// What a reader asks of an entry.
struct FreshnessPolicy {
  /// The reader's own limit on the age of an entry; none for a look-up that takes what there is.
  std::optional<Nanoseconds> ttl{};
  /// The store's clock: take no run that began before (--refresh).
  std::optional<Nanoseconds> begun_since{};
  Nanoseconds stale{0};           ///< --stale
  Nanoseconds stale_if_error{0};  ///< --stale-if-error
  std::optional<double> early{};  ///< --early: beta
  /// The reader's own limit on the age of a kept failure (--cache-failures); none: the failure's.
  std::optional<Nanoseconds> failure_ttl{};
};

/// How long ago the entry was made. Nothing when that is not known: a foreign one does not say, and
/// where one claims to come from the future the clock has jumped, so that it counts as absent.
[[nodiscard]] std::optional<Nanoseconds> age_of(const Record& record, Nanoseconds now);

/// How long the entry stays fresh for everybody from now on; zero or less when it is not.
[[nodiscard]] Nanoseconds time_left(const Record& record, Nanoseconds now);

/// Whether the kept entry answers the wish. A foreign one is fresh as long as it is there.
[[nodiscard]] bool is_fresh(const Record& record, const FreshnessPolicy& policy, Nanoseconds now);

/// Whether a fresh entry is to be refreshed before it expires: the XFetch rule (Vattani et al.,
/// VLDB 2015), by which the time left is compared with run time × beta × −ln(chance). `chance` is
/// uniform in (0, 1].
[[nodiscard]] bool is_due_early(const Record& record, const FreshnessPolicy& policy,
                                Nanoseconds now, double chance);

/// Whether an entry that is not fresh may be served while it is refreshed.
[[nodiscard]] bool is_stale(const Record& record, const FreshnessPolicy& policy, Nanoseconds now);

/// Whether an entry that is not fresh may be served because it cannot be refreshed.
[[nodiscard]] bool serves_on_error(const Record& record, const FreshnessPolicy& policy,
                                   Nanoseconds now);

/// Whether a kept failure is the answer to the wish: neither too old nor older than the entry,
/// which may be null.
[[nodiscard]] bool failure_answers(const Record& failure, const Record* entry,
                                   const FreshnessPolicy& policy, Nanoseconds now);

/// Whether a kept failure says that it is too soon to try again for the sake of this entry, which
/// can be served meanwhile.
[[nodiscard]] bool is_too_soon(const Record& failure, const Record& entry,
                               const FreshnessPolicy& policy, Nanoseconds now);

/// Whether the mark of a run says that it is too soon for another by one who wants a run each
/// `ttl`: it began less than that ago, and is still of use.
[[nodiscard]] bool is_recent_run(const Record& mark, Nanoseconds ttl, Nanoseconds now);

/// When the run of the record began. A clock that was set back during it makes it seem to have
/// begun later than it did; how long it took was measured on another.
[[nodiscard]] Nanoseconds begin_of(const Record& record);

/// Whether a run that ended while the reader waited for it answers the wish. Its ttl may be over by
/// now, or be 0.
[[nodiscard]] bool answers_waiter(const Record& record, const FreshnessPolicy& policy);

/// A ttl shortened by up to `percent` at random; `chance` is uniform in (0, 1].
[[nodiscard]] Nanoseconds with_jitter(Nanoseconds ttl, double percent, double chance);

}  // namespace memolock
