// Chooses and opens the store that the options name. Only this file knows the implementations.
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
  /// The directory of a local store, or how to reach a server.
  std::variant<std::string, RedisSettings> place;
  /// The URL of the same store for child processes: the value of their MEMOLOCK_STORE.
  std::string url;

  [[nodiscard]] bool is_local() const { return place.index() == 0; }
};

/// Chooses the store by the options: local, file:///DIR, or a Redis URL. Reads the password. If its
/// file is a FIFO, blocks until the password arrives or `wait_limit` is reached. Logs a warning if
/// others can read a file with a secret. Throws Error(usage) for any other URL, or if the store is
/// a server and a rule about servers refuses the options; Error(store) if there is no default
/// directory or the password cannot be read; and Error(interrupted).
[[nodiscard]] StoreChoice choose_store(const Options& options, const WaitLimit& wait_limit,
                                       const Log& log);

/// The directory of the chosen store; for a server, the default directory, which contains the
/// counters. Nothing if there is none.
[[nodiscard]] std::optional<std::string> local_directory(const StoreChoice& choice);

/// The maximum size of a result in the chosen store, in bytes.
[[nodiscard]] uint64_t max_entry(const Options& options, const StoreChoice& choice);

/// Opens the chosen store. `wait_limit`: when to stop waiting for a server; it applies until a run
/// begins. Throws Error(store). Keeps a reference to `log`.
[[nodiscard]] std::unique_ptr<Store> open_store(const StoreChoice& choice,
                                                const WaitLimit& wait_limit, const Log& log);

/// Examines whether the chosen store can be reached and used for entries of `tag`. Does not open it
/// as open_store() does, which fails for an unfit store.
[[nodiscard]] Examination examine(const StoreChoice& choice, const std::string& tag,
                                  const Log& log);

/// Repairs the modes of a local store, and returns a list of the repairs. Does nothing for a
/// server.
[[nodiscard]] std::vector<Finding> repair(const StoreChoice& choice);

/// The directories of the fallback stores, in which this user's callers on this machine share runs
/// while a store cannot be reached. Each has a local store for each unreachable store. This process
/// uses the first one; callers with another XDG_RUNTIME_DIR may have used the others.
[[nodiscard]] std::vector<std::string> fallback_directories();
/// The fallback store for the store that `options` name. No entries are stored in it.
[[nodiscard]] StoreChoice fallback_choice(const Options& options);
/// Opens a fallback store. Throws Error(store). Keeps a reference to `log`.
[[nodiscard]] std::unique_ptr<Store> open_fallback(const StoreChoice& fallback, const Log& log);

}  // namespace memolock
