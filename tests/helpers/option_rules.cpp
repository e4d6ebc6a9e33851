// Prints calls of memolock derived from the tables of option combinations (cli/option_rules.hpp),
// one per line:
//
//   refused|MESSAGE|VERB WORD…     for each rule and each of its verbs, a call that this rule must
//                                  refuse
//   ineffective|OPTION|VERB WORD…  for each ineffective option and each of its verbs, a call
//                                  in which the option has no effect
//   accepted||VERB WORD…           for each pair of options of a verb, a call that no rule refuses
//
// A word COMMAND stands for everything after the options. To each rule or pair the options are
// added that the call needs in addition: the fewest with which no other rule refuses it.
#include "cli/option_rules.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/option_table.hpp"

namespace {

using namespace memolock;

using Facts = uint64_t;  // one bit for each element of all_facts

std::vector<const OptionFact*> all_facts() {
  std::vector<const OptionFact*> facts;
  for (const OptionRule& rule : option_rules())
    for (const auto& side : {rule.given, rule.missing})
      for (const OptionFact* const fact : side)
        if (fact != nullptr && std::find(facts.begin(), facts.end(), fact) == facts.end())
          facts.push_back(fact);
  return facts;
}
const std::vector<const OptionFact*> facts = all_facts();

/// The facts on one side of a rule.
Facts bits_of(const OptionRule::Facts& side) {
  Facts bits = 0;
  for (size_t i = 0; i < facts.size(); ++i)
    if (std::find(side.begin(), side.end(), facts[i]) != side.end()) bits |= Facts{1} << i;
  return bits;
}

std::optional<size_t> fact_named(std::string_view name) {
  for (size_t i = 0; i < facts.size(); ++i)
    if (facts[i]->name == name) return i;
  return std::nullopt;
}

/// The fact of an option, as a set; the empty set if no rule is about it.
Facts bit_of(std::string_view name) {
  const auto fact = fact_named(name);
  return fact ? Facts{1} << *fact : 0;
}

/// The options that a verb takes on its command line, and COMMAND.
std::vector<std::string> names_of(const VerbSpec& verb) {
  std::vector<std::string> names;
  for (const OptionSpec& option : all_options())
    if ((option.verbs & verb.bit) != 0 && option.settable_in != SettableIn::environment_alone)
      names.push_back("--" + std::string(option.name));
  if (verb.words == WordsAllowed::any) names.emplace_back("COMMAND");
  return names;
}

/// The facts that words on a verb's command line can make true. There is no server.
Facts possible_with(const VerbSpec& verb) {
  Facts bits = 0;
  for (const std::string& name : names_of(verb)) bits |= bit_of(name);
  return bits;
}

const OptionRule* refusing(const VerbSpec& verb, Facts held) {
  for (const OptionRule& rule : option_rules())
    if ((rule.verbs & (1U << static_cast<unsigned>(verb.verb))) != 0 &&
        (held & bits_of(rule.given)) == bits_of(rule.given) && (held & bits_of(rule.missing)) == 0)
      return &rule;
  return nullptr;
}

/// The smallest set of facts that includes `least`, none of `excluded`, and that is refused by
/// `rule`; if `rule` is null, by no rule. Prefers sets with a command.
std::optional<Facts> smallest(const VerbSpec& verb, Facts least, const OptionRule* rule,
                              Facts excluded = 0) {
  const Facts possible = (possible_with(verb) | least) & ~excluded;
  const Facts command = Facts{1} << fact_named("COMMAND").value();
  std::optional<Facts> best;
  const auto cost = [&](Facts held) {
    return std::popcount(held) + ((held & command) == 0 ? 64 : 0);
  };
  for (Facts extra = possible;; extra = (extra - 1) & possible) {
    const Facts held = extra | least;
    if (refusing(verb, held) == rule && (!best || cost(held) < cost(*best))) best = held;
    if (extra == 0) return best;
  }
}

void print_call(const std::string& kind, const VerbSpec& verb, Facts held,
                std::set<std::string> options) {
  bool has_command = options.erase("COMMAND") > 0;
  for (size_t i = 0; i < facts.size(); ++i) {
    if ((held & (Facts{1} << i)) == 0) continue;
    if (std::string_view(facts[i]->name) == "COMMAND")
      has_command = true;
    else
      options.insert(facts[i]->name);
  }
  std::string line = kind + '|' + verb.name;
  for (const std::string& option : options) line += ' ' + option;
  puts((has_command ? line + " COMMAND" : line).c_str());
}

void print_refused(const OptionRule& rule, const VerbSpec& verb) {
  if ((rule.verbs & (1U << static_cast<unsigned>(verb.verb))) == 0) return;
  const auto held = smallest(verb, bits_of(rule.given), &rule);
  if (!held) {
    fprintf(stderr, "%s: no call is refused with: %s\n", verb.name, rule.message);
    exit(1);
  }
  print_call(std::string("refused|") + rule.message, verb, *held, {});
}

void print_ineffective(const IneffectiveOption& row, const VerbSpec& verb) {
  if ((row.verbs & (1U << static_cast<unsigned>(verb.verb))) == 0) return;
  const auto held = smallest(verb, bit_of(row.option), nullptr, bit_of(row.without));
  if (!held) {
    fprintf(stderr, "%s: no call has %s without %s\n", verb.name, row.option, row.without);
    exit(1);
  }
  print_call(std::string("ineffective|") + row.option, verb, *held, {row.option});
}

void print_accepted(const VerbSpec& verb) {
  const auto names = names_of(verb);
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = i + 1; j < names.size(); ++j) {
      const auto held = smallest(verb, bit_of(names[i]) | bit_of(names[j]), nullptr);
      if (held) print_call("accepted|", verb, *held, {names[i], names[j]});
    }
  }
}

}  // namespace

int main() {
  for (const VerbSpec& verb : all_verbs()) {
    if (verb.verb == Verb::completion) continue;
    for (const OptionRule& rule : option_rules()) print_refused(rule, verb);
    for (const IneffectiveOption& row : ineffective_options()) print_ineffective(row, verb);
    print_accepted(verb);
  }
}
