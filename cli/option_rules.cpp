#include "cli/option_rules.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "src/redis/address.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr OptionFact all{"--all", [](const Options& o) { return o.all; }};
constexpr OptionFact artifact{"--artifact",
                              [](const Options& o) { return !o.policy.artifacts.empty(); }};
constexpr OptionFact bypass{"--bypass", [](const Options& o) { return o.bypass; }};
constexpr OptionFact command{"COMMAND", [](const Options& o) { return !o.words.empty(); }};
constexpr OptionFact external{
    "--external", [](const Options& o) { return o.policy.producer == Producer::external; }};
constexpr OptionFact foreign{"--foreign", [](const Options& o) { return o.foreign; }};
constexpr OptionFact id{"--id", [](const Options& o) { return !o.ids.empty(); }};
constexpr OptionFact key_cwd{"--key-cwd", [](const Options& o) { return o.key_cwd; }};
constexpr OptionFact no_key_cwd{"--no-key-cwd", [](const Options& o) { return o.no_key_cwd; }};
constexpr OptionFact break_lock{"--lock", [](const Options& o) { return o.lock; }};
constexpr OptionFact server{"SERVER", [](const Options& o) { return is_redis_url(o.store); },
                            KnownFrom::chosen_store};
constexpr OptionFact store{"--store", [](const Options& o) { return !o.store.empty(); }};
// A tag from a variable or a file is not enough to delete all entries of that tag.
constexpr OptionFact tag{"--tag", [](const Options& o) { return o.tag_on_command_line; }};
constexpr OptionFact tls_cert{"--tls-cert", [](const Options& o) { return !o.tls.cert.empty(); }};
constexpr OptionFact tls_key{"--tls-key", [](const Options& o) { return !o.tls.key.empty(); }};
constexpr OptionFact ttl{"--ttl", [](const Options& o) { return o.policy.ttl.has_value(); }};

template <typename... Verbs>
constexpr unsigned verbs(Verbs... several) {
  return ((1U << static_cast<unsigned>(several)) | ...);
}

using enum Verb;
constexpr unsigned get_or_key = verbs(get, key);
constexpr unsigned exclusive = verbs(once, lock);
constexpr unsigned uses_store = exclusive |
                                verbs(get, set, fail, renew, del, ls, show, stats, gc, doctor);

constexpr auto rules = std::to_array<OptionRule>({
    {get_or_key, {}, {&id, &command}, "--id or a command is required"},
    {get_or_key, {&key_cwd, &no_key_cwd}, {}, "--key-cwd and --no-key-cwd cannot be used together"},
    {verbs(get), {&command}, {&ttl, &bypass}, "--ttl is required to run a command"},
    {verbs(get),
     {&artifact, &external},
     {},
     "--artifact and --external cannot be used together: COMMAND does not create the files"},
    {exclusive, {}, {&id}, "--id is required"},
    {exclusive, {}, {&command}, "a command is required"},
    {verbs(once), {}, {&ttl, &bypass}, "--ttl is required"},
    // With the default, the local store, every host would run the command, which is probably a
    // mistake.
    {verbs(once),
     {},
     {&store, &bypass},
     "--store is required, on the command line, in MEMOLOCK_STORE or in a configuration file; "
     "--store local covers only this machine"},
    {verbs(set), {}, {&ttl}, "--ttl is required"},
    {verbs(del), {&all, &id}, {}, "--all and --id cannot be used together"},
    {verbs(del), {&all}, {&tag}, "--all requires --tag on the command line"},
    {verbs(del), {}, {&id, &all}, "--id, or --all with --tag, is required"},
    {verbs(del), {&foreign}, {&all}, "--foreign requires --all"},
    {verbs(del), {&break_lock, &all}, {}, "--lock and --all cannot be used together"},
    {verbs(show), {}, {&id}, "--id is required; 'memolock key' prints a derived id"},
    {uses_store, {&tls_key, &server}, {&tls_cert}, "--tls-key requires --tls-cert"},
});

constexpr auto ineffective = std::to_array<IneffectiveOption>({
    // A look-up neither runs nor refreshes.
    {verbs(get), "--drain", "COMMAND"},
    {verbs(get), "--early", "COMMAND"},
    {verbs(get), "--jitter", "COMMAND"},
    {verbs(get), "--max-runtime", "COMMAND"},
    {verbs(get), "--on-lost-lease", "COMMAND"},
    // Without --wait, a call with a command waits without a limit, and a look-up does not wait.
    {verbs(get, lock), "--on-timeout", "--wait"},
    // A local lock has no lease. `get` is not listed for --lease, which is also the lease of a
    // promise.
    {exclusive, "--lease", "SERVER"},
    {exclusive | verbs(get), "--on-lost-lease", "SERVER"},
    {uses_store, "--password-file", "SERVER"},
    {uses_store, "--sentinel-password-file", "SERVER"},
    {uses_store, "--sentinel-user", "SERVER"},
    {uses_store, "--store-timeout", "SERVER"},
    {uses_store, "--tls-ca", "SERVER"},
    {uses_store, "--tls-cert", "SERVER"},
    {uses_store, "--tls-key", "SERVER"},
    {uses_store, "--tls-server-name", "SERVER"},
});

/// Whether all facts of a rule can be determined from the options alone.
constexpr bool is_about_options(const OptionRule& rule) {
  const auto is_known = [](const OptionFact* fact) {
    return fact == nullptr || fact->known_from == KnownFrom::options;
  };
  return std::all_of(rule.given.begin(), rule.given.end(), is_known) &&
         std::all_of(rule.missing.begin(), rule.missing.end(), is_known);
}
static_assert(std::is_partitioned(rules.begin(), rules.end(), is_about_options),
              "rules about the server come last, as they are checked last");
constexpr const auto* server_rules = std::find_if_not(rules.begin(), rules.end(), is_about_options);

/// " (MEMOLOCK_KEY_CWD)": where the given options of a rule were set; "" for the command line.
std::string origins(const OptionRule& rule, const Options& options) {
  std::string origins;
  for (const OptionFact* const fact : rule.given) {
    const std::string_view name = fact != nullptr ? fact->name : "";
    if (!name.starts_with("--")) continue;
    const auto found = options.sources.find(name.substr(2));
    if (found != options.sources.end()) origins += (origins.empty() ? " (" : ", ") + found->second;
  }
  return origins.empty() ? "" : origins + ')';
}

/// Whether the rule, which must be one of the options' verb, refuses the options.
bool refuses(const OptionRule& rule, const Options& options) {
  const auto holds = [&](const OptionFact* fact) {
    return fact != nullptr && fact->holds(options);
  };
  const auto is_given = [&](const OptionFact* fact) { return fact == nullptr || holds(fact); };
  return std::all_of(rule.given.begin(), rule.given.end(), is_given) &&
         std::none_of(rule.missing.begin(), rule.missing.end(), holds);
}

void check_rules(std::span<const OptionRule> some, const Options& options) {
  const unsigned verb = verbs(options.verb);
  for (const OptionRule& rule : some)
    if ((rule.verbs & verb) != 0 && refuses(rule, options))
      throw usage_error(rule.message + origins(rule, options));
}

}  // namespace

std::span<const OptionRule> option_rules() { return rules; }
std::span<const IneffectiveOption> ineffective_options() { return ineffective; }

void check_combination(const Options& options) {
  check_rules({rules.begin(), server_rules}, options);
}

void check_server_combination(const Options& options) {
  check_rules({server_rules, rules.end()}, options);
}

}  // namespace memolock
