// Which store a URL means: the only place that names a backend.
#pragma once

#include <memory>
#include <string>

#include "src/log.hpp"
#include "src/store.hpp"

namespace memolock {

struct StoreChoice {
  std::string directory;
  /// How a child reaches the same store: the value of its MEMOLOCK_STORE.
  std::string url;
};

/// Reads `--store`: "" or "local", file:///DIR. Throws Error(usage) for anything else, Error(store)
/// when there is no directory to default to.
[[nodiscard]] StoreChoice choose_store(const std::string& url);

/// The chosen store, opened. Throws Error(store). Keeps a reference to `log`.
[[nodiscard]] std::unique_ptr<Store> open_store(const StoreChoice& choice, const Log& log);

/// The store by which the callers on this machine share runs while the one they asked for is out of
/// reach; nothing is kept in it. It does not depend on the environment. Throws Error(store).
[[nodiscard]] std::unique_ptr<Store> open_fallback(const Log& log);

}  // namespace memolock
