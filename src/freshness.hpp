// Decisions on a record, pure: the clock is passed in.
#pragma once

#include <optional>

#include "src/entry.hpp"

namespace memolock {

/// What a reader asks of an entry.
struct Wish {
  /// The reader's own limit on the age of an entry; none for a look-up that takes what there is.
  std::optional<Nanoseconds> ttl;
  /// Wall clock: take no run that began before (--refresh).
  std::optional<Nanoseconds> begun_since;
};

/// How long ago the entry was made. Nothing when it claims to come from the future: the clock
/// jumped, so nothing is known of its age and it counts as absent.
[[nodiscard]] std::optional<Nanoseconds> age_of(const Record& record, Nanoseconds now);

/// How long the entry stays fresh for everybody from now on; zero or less when it is not.
[[nodiscard]] Nanoseconds time_left(const Record& record, Nanoseconds now);

/// Whether the kept entry answers the wish.
[[nodiscard]] bool is_fresh(const Record& record, const Wish& wish, Nanoseconds now);

/// Whether a run that ended while the reader waited for it answers the wish. Its ttl may be over by
/// now, or be 0.
[[nodiscard]] bool answers_waiter(const Record& record, const Wish& wish);

}  // namespace memolock
