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
};

/// The entries of $XDG_CONFIG_HOME/memolock/config.toml and /etc/memolock/config.toml, the user's
/// first; a key stands in it once. Throws Error(usage) for a file that is no TOML.
[[nodiscard]] std::vector<ConfigEntry> read_config();

}  // namespace memolock
