// Every verb and every option, described once: for --help, for parsing (options.cpp) and for the
// completions, which read --help.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/options.hpp"

namespace memolock {

/// Where an option can be set in addition to the command line. An option with environment_alone can
/// be set only by its variable, and not on the command line.
enum class SettableIn { nowhere, environment_and_file, environment_alone };

/// An option. If its placeholder is null, it is a flag; a flag without a value has the value "1".
/// If the description of an option differs between verbs, it has a row for each description.
struct OptionSpec {
  std::string_view name;
  const char* placeholder;
  unsigned verbs;  ///< bits of the verbs that have it; 0: only in a variable or a file
  SettableIn settable_in;
  const char* help;
  void (*set)(Options&, const std::string&);
  /// A value that only other verbs accept. It is ignored if it is set in a variable or a file,
  /// because those apply to all verbs.
  const char* value_for_other_verbs = nullptr;
};

/// Whether words may follow the options of a verb.
enum class WordsAllowed { none, any };

/// A verb: its name, its texts for --help, and the bit that marks its options.
struct VerbSpec {
  Verb verb;
  unsigned bit;  ///< its bit in OptionSpec::verbs
  WordsAllowed words;
  const char* name;
  const char* usage;
  const char* help;
  /// Sets defaults that differ from those in Options.
  void (*set_defaults)(Options&) = nullptr;
};

[[nodiscard]] std::span<const OptionSpec> all_options();
[[nodiscard]] std::span<const VerbSpec> all_verbs();

}  // namespace memolock
