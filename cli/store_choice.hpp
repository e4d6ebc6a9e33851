// Chooses and opens the store that the options name: the only place that knows the implementations.
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

/// Chooses the store by the options: local, file:///DIR, or a Redis URL. Reads its password, and
/// waits for it until `wait_limit`. Warns of files with secrets that others can read. Throws
/// Error(usage) for any other URL, and for a server if a rule about it refuses the options;
/// Error(store) if there is no default directory or the password cannot be read; and
/// Error(interrupted).
[[nodiscard]] StoreChoice choose_store(const Options& options, const WaitLimit& wait_limit,
                                       const Log& log);

/// The directory of the chosen store, or for a server the default one, which has the counters.
/// Nothing if there is none.
[[nodiscard]] std::optional<std::string> local_directory(const StoreChoice& choice);

/// The size of the largest result to store there; bytes.
[[nodiscard]] uint64_t max_entry(const Options& options, const StoreChoice& choice);

/// Opens the chosen store. `wait_limit` ends any wait for a server before a run begins. Throws
/// Error(store). Keeps a reference to `log`.
[[nodiscard]] std::unique_ptr<Store> open_store(const StoreChoice& choice,
                                                const WaitLimit& wait_limit, const Log& log);

/// Examines whether the chosen store is reachable and fit for the entries of `tag`. Does not open
/// it: that would create a directory, and fail for an unfit store.
[[nodiscard]] Examination examine(const StoreChoice& choice, const std::string& tag,
                                  const Log& log);

/// Repairs the modes of a store directory, and returns what was done; a server has none.
[[nodiscard]] std::vector<Finding> repair(const StoreChoice& choice);

/// The directories in which this user's callers on this machine share runs while a store is
/// unreachable; each holds a local store for each such store. The first one is in use; callers with
/// another XDG_RUNTIME_DIR may have used the others.
[[nodiscard]] std::vector<std::string> fallback_directories();
/// The fallback for the store that `options` name. Nothing is kept in it.
[[nodiscard]] StoreChoice fallback_choice(const Options& options);
/// Opens it. Throws Error(store).
[[nodiscard]] std::unique_ptr<Store> open_fallback(const StoreChoice& fallback, const Log& log);

}  // namespace memolock
