// The MEMOLOCK_ variables of a command's environment, which describe its run, and the lines that
// the command may write to its control file (command/control_file.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/held_lock.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// The values of the variables.
struct RunIdentity {
  const Key& key;
  std::string token;        ///< empty: uncached
  std::string store_url;    ///< empty: MEMOLOCK_STORE is inherited unchanged
  std::string promise_url;  ///< the promise's store if it differs from store_url; else empty
  std::string control_path;
  const std::vector<HeldLock>& ancestors;
};

/// This process's environment, "NAME=value", with the run's variables in place of inherited ones.
[[nodiscard]] std::vector<std::string> environment_for(const RunIdentity& run);

/// The requests of the command in its control file; later lines override earlier ones.
struct Control {
  std::optional<Nanoseconds> ttl;
  std::optional<Nanoseconds> stale;
  bool cache = true;
  /// Why the result must not be stored, worded to follow "not stored: ": the file is invalid or
  /// cannot be read. Empty: it may be stored.
  std::string error;
  /// Why there was no control file, worded likewise. Empty: there was one.
  std::string missing;
};
/// Parses the content of a control file.
[[nodiscard]] Control parse_control(std::string_view text);

}  // namespace memolock
