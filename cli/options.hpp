// The command line, the MEMOLOCK_ variables and the configuration files, read into one struct.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/get.hpp"
#include "src/log.hpp"

namespace memolock {

enum class Verb { get, del, ls };
enum class OnStoreError { run, fail };

struct Options {
  Verb verb = Verb::get;
  Level log = Level::warn;
  std::string store;
  std::string tag = "default";
  bool tag_on_command_line = false;
  std::vector<std::string> ids;
  std::optional<Nanoseconds> ttl;
  std::optional<Nanoseconds> wait;
  OnTimeout on_timeout = OnTimeout::fail;
  OnFailure on_failure = OnFailure::share;
  OnStoreError on_store_error = OnStoreError::run;
  bool refresh = false;
  std::optional<Nanoseconds> max_runtime;
  std::optional<uint64_t> max_entry;
  std::string report;
  bool all = false;
  bool dry_run = false;
  std::vector<std::string> command;

  /// What was asked for instead of a verb's work: the text of --help or --version.
  std::optional<std::string> print;
  /// Warnings about the input, to be said once the log level is known.
  std::vector<std::string> warnings;
};

/// Reads everything into `options`. The command line wins over variables, they over files. Throws
/// Error(usage); the log level is right then, too, as far as it is known.
void read_options(int argc, char** argv, Options& options);

}  // namespace memolock
