// Every verb and every option, described once: what --help prints, the reader parses, and the
// completions offer.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/options.hpp"

namespace memolock {

/// Where else than on the command line an option can be given; or its variable alone.
enum class Also { nowhere, environment_and_file, environment_alone };

/// One option of any verb: its one description. A null placeholder makes it a flag, set with "1" or
/// "0".
struct OptionSpec {
  std::string_view name;
  const char* placeholder;
  unsigned verbs;  ///< bits of those that have it; 0: none, it is for environment and file
  Also also;
  const char* help;
  void (*set)(Options&, const std::string&);
  /// A value that the option of this name has with other verbs alone: in a variable or a file,
  /// which are for all, it changes nothing here.
  const char* of_other_verbs = nullptr;
};

/// What may follow a verb's options.
enum class WordsAllowed { none, any };

struct VerbSpec {
  Verb verb;
  unsigned bit;  ///< its options have it in OptionSpec::verbs
  WordsAllowed words;
  const char* name;
  const char* usage;
  const char* help;
  /// Where its defaults are others than those in Options.
  void (*set_defaults)(Options&) = nullptr;
};

[[nodiscard]] std::span<const OptionSpec> all_options();
[[nodiscard]] std::span<const VerbSpec> all_verbs();

}  // namespace memolock
