// What a command is told of its run, the MEMOLOCK_ variables, and what the lines mean that it may
// say back (command/control_file.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/token.hpp"
#include "src/system/clock.hpp"

namespace memolock {

struct RunIdentity {
  const Key& key;
  std::string token;        ///< empty: uncached
  std::string store_url;    ///< empty: leave what is there
  std::string promise_url;  ///< the store that has the promise, if that is another; else empty
  std::string control_path;
  const std::vector<HeldLock>& ancestors;
};

/// This process's environment with the run's variables in place of those it may have inherited;
/// "NAME=value".
[[nodiscard]] std::vector<std::string> environment_for(const RunIdentity& run);

/// What the command asked for in its control file; later lines win.
struct Control {
  std::optional<Nanoseconds> ttl;
  std::optional<Nanoseconds> stale;
  bool cache = true;
  /// What is wrong with it, in words that follow "not stored: "; the result is not to be stored
  /// then. Empty: nothing.
  std::string fault;
  /// Why there was no file that it could have written to, likewise.
  std::string missing;
};
[[nodiscard]] Control parse_control(std::string_view text);

}  // namespace memolock
