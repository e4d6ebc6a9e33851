// Which options of a verb can be combined, in two tables. A combination that option_rules() refuses
// is an error: its options exclude or require each other. An option in ineffective_options() is
// accepted, but has no effect where something else is missing. All other options can be combined.
//
// Rules about the server are checked once a server has been chosen, because a call may use another
// store than the one that the options name, or no store. All other rules are checked before
// anything else.
//
// Two rules are implemented elsewhere. If a flag and its --no- form are both given, the one on the
// command line takes precedence over one in a variable or a file, before these rules apply
// (options.cpp). `set`, `fail` and `renew` can get the entry and its token from the run in which
// they are called (verbs/promise.cpp).
#pragma once

#include <array>
#include <span>

#include "cli/options.hpp"

namespace memolock {

/// When a fact becomes known, so that the rules that refer to it can be checked.
enum class KnownFrom { options, chosen_store };

/// Something that a caller may have requested, on the command line, in a variable or in a file.
struct OptionFact {
  const char* name;  ///< an option such as "--id"; or COMMAND; or SERVER (in --store)
  bool (*holds)(const Options&);
  KnownFrom known_from = KnownFrom::options;
};

/// Refuses every call in which all of `given` hold and none of `missing` does. So {A, B}, {} says
/// that A excludes B; {A}, {B} that A requires B; {}, {A, B} that A or B is required.
struct OptionRule {
  using Facts = std::array<const OptionFact*, 2>;  ///< null for fewer

  unsigned verbs;  ///< has 1 << Verb for each verb to which the rule applies
  Facts given;
  Facts missing;
  const char* message;
};

/// An option that has no effect in calls without something else.
struct IneffectiveOption {
  unsigned verbs;       ///< has 1 << Verb for each verb to which this applies
  const char* option;   ///< as "--early"
  const char* without;  ///< as OptionFact::name
};

/// All rules, in the order in which they are checked; the first one that refuses a call provides
/// the error message.
[[nodiscard]] std::span<const OptionRule> option_rules();

[[nodiscard]] std::span<const IneffectiveOption> ineffective_options();

/// Both throw Error(usage) for a combination that a rule refuses. The message says which of the
/// rule's `given` options were set by a variable or a file.
void check_combination(const Options& options);
/// Checks the rules about the server: `options.store` must be the store that the call uses.
void check_server_combination(const Options& options);

}  // namespace memolock
