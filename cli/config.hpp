// Reads the configuration files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace memolock {

/// A key of a configuration file and its values.
struct ConfigEntry {
  std::string key;
  std::vector<std::string> values;  ///< written as on the command line; several if it is an array
  std::string file;                 ///< the path of the file, for messages
  bool has_supported_type = true;   ///< false: no option takes a value of this type
  /// Advice on how to protect a secret in the file if others can read it; "" if they cannot.
  std::string exposure_advice = "";
};

struct Config {
  std::vector<ConfigEntry> entries;   ///< each key once; the user's file takes precedence
  std::vector<std::string> warnings;  ///< about files that this user may not read
  std::vector<std::string> infos;     ///< about a file that may not be meant for this user
};

/// Reads $XDG_CONFIG_HOME/memolock/config.toml and /etc/memolock/config.toml; a missing file is not
/// an error. Throws Error(usage) for a file that cannot be read although this user has permission,
/// is larger than 1 MiB, or is not TOML.
[[nodiscard]] Config read_config();

}  // namespace memolock
