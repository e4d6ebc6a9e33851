// The configuration files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// One key of a file.
struct ConfigEntry {
  std::string key;
  std::vector<std::string> values;  ///< as on the command line; of an array all, else one
  std::string file;                 ///< for messages
  bool is_fit = true;               ///< false: it holds something that no option can be
  /// What to do if it holds a secret, for others can read the file; empty: they cannot.
  std::string exposure_remedy = "";
};

struct Config {
  std::vector<ConfigEntry> entries;   ///< the user's first; a key stands in it once
  std::vector<std::string> warnings;  ///< of files that this user may not read
  std::vector<std::string> remarks;   ///< of a file that may not be meant for this user
};

/// What $XDG_CONFIG_HOME/memolock/config.toml and /etc/memolock/config.toml say. Throws
/// Error(usage) for a file that this user may read and that cannot be read, has more than 1 MiB, or
/// is no TOML.
[[nodiscard]] Config read_config();

}  // namespace memolock
