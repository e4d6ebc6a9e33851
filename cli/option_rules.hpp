// Which options of a verb can be combined, in two tables. Options that option_rules() refuses
// exclude or need each other. An option in ineffective_options() is accepted, but has no effect
// where something else is missing. All other options combine.
//
// A rule about the server is checked when a server has been chosen, since a call may use another
// store than the one that the options name, or none. All other rules are checked first of all.
//
// Two things are not here. Of a flag and its --no- form, the one on the command line wins over one
// in a variable or a file, before these rules apply (options.cpp). And what `set`, `fail` and
// `renew` need may come from the run that they are called in, which verbs/promise.cpp looks up.
#pragma once

#include <array>
#include <span>

#include "cli/options.hpp"

namespace memolock {

/// When a fact is known, and the rules that it is part of can be checked.
enum class KnownFrom { options, chosen_store };

/// Something that a caller may have asked for, wherever the value is from.
struct OptionFact {
  const char* name;  ///< of the option, as "--id"; else in capitals: COMMAND, SERVER (in --store)
  bool (*holds)(const Options&);
  KnownFrom known_from = KnownFrom::options;
};

/// Refuses every call in which all of `given` hold and none of `missing` does. So {A, B}, {} says
/// that A excludes B; {A}, {B} that A needs B; {}, {A, B} that A or B is required.
struct OptionRule {
  using Facts = std::array<const OptionFact*, 2>;  ///< null for fewer

  unsigned verbs;  ///< has 1 << Verb for each verb that it is a rule of
  Facts given;
  Facts missing;
  const char* message;
};

/// An option that has no effect in calls without something else.
struct IneffectiveOption {
  unsigned verbs;       ///< has 1 << Verb for each verb of which this is true
  const char* option;   ///< as "--early"
  const char* without;  ///< as OptionFact::name
};

/// All rules, in the order in which they are checked; the first one that refuses a call provides
/// the error message.
[[nodiscard]] std::span<const OptionRule> option_rules();

[[nodiscard]] std::span<const IneffectiveOption> ineffective_options();

/// Both throw Error(usage) for a combination that a rule refuses. The message says which of the
/// rule's `given` are from a variable or a file.
void check_combination(const Options& options);
/// For the rules about the server: `options.store` is the one that the call uses.
void check_server_combination(const Options& options);

}  // namespace memolock
