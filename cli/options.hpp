// The options of a call, from the command line, the MEMOLOCK_ variables and the configuration
// files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/run_policy.hpp"
#include "src/inputs/key_inputs.hpp"
#include "src/redis/address.hpp"
#include "src/system/log.hpp"

namespace memolock {

enum class Verb {
  get,
  once,
  lock,
  key,
  set,
  fail,
  renew,
  del,
  ls,
  show,
  stats,
  gc,
  doctor,
  completion
};
enum class OnStoreError { run, fail };

struct Options {
  Verb verb = Verb::get;
  Level log = Level::warn;
  bool bypass = false;  ///< run commands without any store
  /// Where the value of an option was set, by the option's name: a variable, or a file and a key.
  /// Does not contain values from the command line.
  std::map<std::string_view, std::string> sources;
  std::string store;
  bool store_on_command_line = false;
  Nanoseconds store_timeout = std::chrono::seconds(2);
  bool lease_on_command_line = false;
  RedisTls tls;
  std::string password_file;
  std::string sentinel_user, sentinel_password_file;
  std::string tag = "default";
  bool tag_on_command_line = false;
  std::vector<std::string> ids;
  KeyInputs key;  ///< without the choice of the working directory; see key_inputs()
  bool key_cwd = false, no_key_cwd = false;
  RunPolicy policy;
  OnStoreError on_store_error = OnStoreError::run;
  std::optional<uint64_t> max_entry;
  std::string report;
  bool all = false;
  bool dry_run = false;
  bool foreign = false;
  bool lock = false;
  bool fix = false;
  bool json = false;
  bool reset = false;
  std::optional<uint64_t> max_size;
  std::string token;
  int status = 1;
  /// The words after the options: the command, or the FILE of `set`, or the shell of `completion`.
  std::vector<std::string> words;

  /// The text of --help or --version, to be printed instead of running the verb.
  std::optional<std::string> print;
  /// Warnings about the options and the files, to be logged once the log level is known.
  std::vector<std::string> warnings;
  std::vector<std::string> infos;  ///< the same at Level::info
};

/// Reads the command line, the variables and the configuration files into `options`; the first of
/// these that sets a value takes precedence. Checks each value, but not combinations
/// (option_rules.hpp). Throws Error(usage); `options.log` then has the level that was read before
/// the error.
void read_options(int argc, char** argv, Options& options);

/// The inputs that the options make part of the id, in addition to the given id or the command.
[[nodiscard]] KeyInputs key_inputs(const Options& options);

}  // namespace memolock
