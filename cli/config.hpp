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
  bool is_exposed = false;          ///< others can read the file; see is_exposed()
};

struct Config {
  std::vector<ConfigEntry> entries;   ///< the user's first; a key stands in it once
  std::vector<std::string> warnings;  ///< of files that may be there, and are out of reach
};

/// What $XDG_CONFIG_HOME/memolock/config.toml and /etc/memolock/config.toml say. Throws
/// Error(usage) for a file that is there and cannot be read, has more than 1 MiB, or is no TOML.
[[nodiscard]] Config read_config();

}  // namespace memolock
