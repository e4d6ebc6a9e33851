// Harness: reads a configuration file.
#include "cli/config.hpp"

#include <cstdlib>
#include <fstream>

#include "src/system/error.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

const Harness config("config", [](std::string_view text) {
  static const std::filesystem::path folder = scratch() / "memolock";
  create_directory(folder);
  std::ofstream(folder / "config.toml", std::ios::binary) << text;
  setenv("XDG_CONFIG_HOME", scratch().c_str(), 1);
  try {
    const Config read = read_config();
    for (const ConfigEntry& entry : read.entries)
      require(!entry.file.empty(), "the file of a key is named");
  } catch (const Error& error) {
    require(error.kind() == Error::Kind::usage, "an invalid file is a usage error");
    require_printable(error.what());
  }
});

}  // namespace
}  // namespace memolock::fuzz
