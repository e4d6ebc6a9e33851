// Which store a URL means: the only place that names a backend.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/options.hpp"
#include "src/doctor/finding.hpp"
#include "src/redis/progress_timeout.hpp"
#include "src/redis_store/store.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"

namespace memolock {

struct StoreChoice {
  /// The local store's directory, or how to reach a server.
  std::variant<std::string, RedisSettings> place;
  /// How a child reaches the same store: the value of its MEMOLOCK_STORE.
  std::string url;

  [[nodiscard]] bool is_local() const { return place.index() == 0; }
};

/// Reads the options that say which store is meant: local, file:///DIR, or a Redis URL; and its
/// password, for which `cutoff` ends the wait. Warns of files with secrets that others can read.
/// Throws Error(usage) for anything else, Error(store) when there is no directory to default to or
/// no password to be had, and Error(interrupted).
[[nodiscard]] StoreChoice choose_store(const Options& options, const Cutoff& cutoff,
                                       const Log& log);

/// The directory of the chosen store, or the one that would be it without a server: where the
/// counters lie. Nothing when there is no place for one.
[[nodiscard]] std::optional<std::string> local_directory(const StoreChoice& choice);

/// The largest result that is to be stored there; bytes.
[[nodiscard]] uint64_t max_entry(const Options& options, const StoreChoice& choice);

/// The chosen store, opened. Throws Error(store). `cutoff`: what ends a wait for a server before a
/// run begins. Keeps a reference to `log`.
[[nodiscard]] std::unique_ptr<Store> open_store(const StoreChoice& choice, const Cutoff& cutoff,
                                                const Log& log);

/// Whether the chosen store is reachable and fit for the entries of `tag`. It is not opened for
/// that: one that cannot be is to be examined too, and a directory would be made.
[[nodiscard]] Examination examine(const StoreChoice& choice, const std::string& tag,
                                  const Log& log);

/// Repairs the modes of the chosen store, and says what it did; on a server it has none.
[[nodiscard]] std::vector<Finding> repair(const StoreChoice& choice);

/// Where this user's callers on this machine share runs while their stores are out of reach: each
/// holds one local store for each of those. The first is in use; the others may have been, by
/// callers with another XDG_RUNTIME_DIR.
[[nodiscard]] std::vector<std::string> fallback_directories();
/// The store in the first of them that stands in for the one that `options` ask for; nothing is
/// kept in it.
[[nodiscard]] StoreChoice fallback_choice(const Options& options);
/// That store, opened. Throws Error(store).
[[nodiscard]] std::unique_ptr<Store> open_fallback(const StoreChoice& fallback, const Log& log);

}  // namespace memolock
