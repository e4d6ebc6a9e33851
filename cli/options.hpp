// The command line, the MEMOLOCK_ variables and the configuration files, read into one struct.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/token.hpp"
#include "src/inputs/key_inputs.hpp"
#include "src/promise/get.hpp"
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
  bool bypass = false;  ///< commands run as if there were no memolock
  /// Where a value is from that is not from the command line, by the option's name.
  std::map<std::string_view, std::string> sources;
  std::string store;
  bool store_on_command_line = false;
  Nanoseconds store_timeout = std::chrono::seconds(2);
  Nanoseconds lease = default_lease;
  bool lease_on_command_line = false;
  RedisTls tls;
  std::string password_file;
  std::string sentinel_user, sentinel_password_file;
  std::string tag = "default";
  bool tag_on_command_line = false;
  std::vector<std::string> ids;
  KeyInputs key;
  std::optional<Nanoseconds> ttl;
  std::optional<Nanoseconds> wait;
  OnTimeout on_timeout = OnTimeout::fail;
  OnFailure on_failure = OnFailure::share;
  OnStoreError on_store_error = OnStoreError::run;
  OnLostLease on_lost_lease = OnLostLease::keep_running;
  bool refresh = false;
  Nanoseconds stale{0};
  Nanoseconds stale_if_error{0};
  std::optional<double> early;
  double jitter = 0;
  std::optional<Nanoseconds> cache_failures;
  std::optional<Nanoseconds> max_runtime;
  Nanoseconds drain = forever;
  std::optional<uint64_t> max_entry;
  std::vector<std::string> artifacts;
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
  int skip_status = 0;
  bool external = false;
  /// What follows the options: of get its command, of set a file.
  std::vector<std::string> command;

  /// What was asked for instead of a verb's work: the text of --help or --version.
  std::optional<std::string> print;
  /// About the input, to be said once the log level is known.
  std::vector<std::string> warnings;
  std::vector<std::string> remarks;  ///< with -v
};

/// Reads everything into `options`. The command line wins over variables, they over files. Throws
/// Error(usage); the log level is right then, too, as far as it is known.
void read_options(int argc, char** argv, Options& options);

}  // namespace memolock
