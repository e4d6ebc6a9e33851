#include "cli/options.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "cli/config.hpp"
#include "src/error.hpp"
#include "src/units.hpp"

namespace memolock {
namespace {

constexpr unsigned in_get = 1;
constexpr unsigned in_del = 2;
constexpr unsigned in_ls = 4;
constexpr unsigned everywhere = in_get | in_del | in_ls;

/// Where else than on the command line an option can be given.
enum class Also { nowhere, environment_and_file };

/// One option of any verb: its one description. A null placeholder makes it a flag, set with "1" or
/// "0".
struct Spec {
  std::string_view name;
  const char* placeholder;
  unsigned verbs;
  Also also;
  const char* help;
  void (*set)(Options&, const std::string&);
};

// Setters throw this; the reader puts the source of the value before it.
Error fault(const std::string& value, std::string_view what) {
  return usage_error(fmt::format("'{}' {}", escape_controls(value), what));
}

Nanoseconds duration(const std::string& text) {
  if (const auto length = parse_duration(text)) return *length;
  throw fault(text, "is no duration (write 500ms, 5s, 1h30m, 2d)");
}

Nanoseconds duration_or_forever(const std::string& text) {
  return text == "forever" ? forever : duration(text);
}

bool flag(const std::string& text) {
  if (text == "1" || text == "true" || text == "yes" || text == "on") return true;
  if (text == "0" || text == "false" || text == "no" || text == "off") return false;
  throw fault(text, "is neither 1 nor 0");
}

template <typename Value, size_t N>
Value choice(const std::string& text,
             const std::array<std::pair<std::string_view, Value>, N>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names += names.empty() ? "" : ", ";
    names += name;
  }
  throw fault(text, "is none of " + names);
}

void set_log(Options& options, const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, Level>, 4> levels{
      {{"quiet", Level::quiet},
       {"warn", Level::warn},
       {"info", Level::info},
       {"debug", Level::debug}}};
  options.log = choice(text, levels);
}

void set_on_timeout(Options& options, const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, OnTimeout>, 3> choices{
      {{"fail", OnTimeout::fail}, {"run", OnTimeout::run}, {"stale", OnTimeout::stale}}};
  options.on_timeout = choice(text, choices);
}

void set_on_failure(Options& options, const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, OnFailure>, 2> choices{
      {{"share", OnFailure::share}, {"retry", OnFailure::retry}}};
  options.on_failure = choice(text, choices);
}

void set_on_store_error(Options& options, const std::string& text) {
  static constexpr std::array<std::pair<std::string_view, OnStoreError>, 2> choices{
      {{"run", OnStoreError::run}, {"fail", OnStoreError::fail}}};
  options.on_store_error = choice(text, choices);
}

void set_tag(Options& options, const std::string& text) {
  if (const auto wrong = fault_of_tag(text)) throw fault(text, *wrong);
  options.tag = text;
}

void add_id(Options& options, const std::string& text) {
  if (const auto wrong = fault_of_id(text)) throw fault(text, *wrong);
  // del takes several; elsewhere the last one counts, as with any option.
  if (options.verb != Verb::del) options.ids.clear();
  options.ids.push_back(text);
}

// As with timeout, 0 is no limit.
void set_max_runtime(Options& options, const std::string& text) {
  const Nanoseconds length = duration(text);
  options.max_runtime.reset();
  if (length > Nanoseconds(0)) options.max_runtime = length;
}

void set_max_entry(Options& options, const std::string& text) {
  options.max_entry = parse_size(text);
  if (!options.max_entry) throw fault(text, "is no size (write 64MiB, 10MB, 4096)");
}

constexpr Also env = Also::environment_and_file;

constexpr std::array<Spec, 15> specs{{
    {"store", "URL", everywhere, env, "where entries and locks live: local, file:///DIR",
     [](Options& o, const std::string& v) { o.store = v; }},
    {"tag", "TAG", everywhere, env, "the family of resources (default: default)", set_tag},
    {"id", "ID", in_get | in_del, Also::nowhere,
     "the resource; derived from the command and directory by get", add_id},
    {"ttl", "DURATION", in_get, env,
     "how long the result is fresh; 0: share a run, keep nothing; forever",
     [](Options& o, const std::string& v) { o.ttl = duration_or_forever(v); }},
    {"refresh", nullptr, in_get, env, "take no entry whose run began before this call",
     [](Options& o, const std::string& v) { o.refresh = flag(v); }},
    {"wait", "DURATION", in_get, env, "longest wait for another holder (default: forever)",
     [](Options& o, const std::string& v) { o.wait = duration_or_forever(v); }},
    {"on-timeout", "WHAT", in_get, env,
     "when --wait has passed: fail (124), run uncached, or serve a stale entry", set_on_timeout},
    {"on-failure", "WHAT", in_get, env,
     "when the holder's command fails: share its result, or retry", set_on_failure},
    {"max-runtime", "DURATION", in_get, env,
     "stop the command after this long and exit 124; 0: never",
     [](Options& o, const std::string& v) { set_max_runtime(o, v); }},
    {"on-store-error", "WHAT", in_get, env,
     "when the store is unfit: run without it, or fail (125)", set_on_store_error},
    {"max-entry", "SIZE", in_get, env,
     "a larger result passes through and is not stored (default: 1GiB)", set_max_entry},
    {"report", "FILE", in_get, env, "append a JSON line on how this call ended",
     [](Options& o, const std::string& v) { o.report = v; }},
    {"all", nullptr, in_del, Also::nowhere, "every entry of the tag given with --tag",
     [](Options& o, const std::string& v) { o.all = flag(v); }},
    {"dry-run", nullptr, in_del, Also::nowhere, "say how many it would be, and leave them",
     [](Options& o, const std::string& v) { o.dry_run = flag(v); }},
    {"log", "LEVEL", 0, env, "MEMOLOCK_LOG, beside -v and -q", set_log},
}};

struct VerbSpec {
  Verb verb;
  unsigned bit;
  const char* name;
  const char* usage;
  const char* help;
};

constexpr std::array<VerbSpec, 3> verbs{{
    {Verb::get, in_get, "get", "memolock get [OPTION]... [--] [COMMAND [ARG]...]",
     "Replay a fresh result, or run COMMAND once for all who ask and keep its result."},
    {Verb::del, in_del, "del", "memolock del [OPTION]... --id ID... | --all --tag TAG",
     "Forget entries, and print how many."},
    {Verb::ls, in_ls, "ls", "memolock ls [OPTION]...",
     "List entries and runs: tag, id, state, age, time left, size, holder."},
}};

/// CLI11's layout, with the usage line written by us.
class Help : public CLI::Formatter {
 public:
  explicit Help(const char* usage) : usage_(usage) { column_width(28); }
  std::string make_usage(const CLI::App*, std::string) const override {
    return fmt::format("Usage: {}\n", usage_);
  }

 private:
  const char* usage_;
};

std::string lowered(std::string text) {
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

std::string variable_of(std::string_view name) {
  std::string variable = "MEMOLOCK_";
  for (const char c : name)
    variable += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return variable;
}

void set_from(const std::string& source, const Spec& spec, Options& options,
              const std::string& value) {
  try {
    spec.set(options, value);
  } catch (const Error& error) {
    throw usage_error(source + ": " + error.what());
  }
}

/// One verb's command line.
class Reader {
 public:
  Reader(const VerbSpec& verb, Options& options) : verb_(verb), options_(options), app_(verb.help) {
    app_.formatter(std::make_shared<Help>(verb.usage));
    app_.set_help_flag("-h,--help", "this text");
    if (verb.verb == Verb::get) app_.prefix_command();
    for (size_t i = 0; i < specs.size(); ++i)
      if ((specs.at(i).verbs & verb.bit) != 0) given_.at(i) = add(specs.at(i));
    verbose_ = add_flag("-v,--verbose", "say what was decided and why; twice: more");
    quiet_ = add_flag("-q,--quiet", "say nothing");
  }

  void read(const std::vector<std::string>& words) {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    // CLI11 takes "--id=" for an option without a value, and the next word for it.
    for (std::string& word : reversed)
      if (word.starts_with("--") && word.ends_with('=')) word += empty_value;
    try {
      app_.parse(reversed);
    } catch (const CLI::CallForHelp&) {
      options_.print = app_.help();
      return;
    } catch (const CLI::ExtrasError&) {
      throw usage_error("unexpected argument '" + escape_controls(app_.remaining().front()) + "'" +
                        hint());
    } catch (const CLI::ParseError& error) {
      throw usage_error(lowered(escape_controls(error.what())) + hint());
    }
    if (quiet_->count() > 0) options_.log = Level::quiet;
    take_command(words);
    take_values();
  }

 private:
  CLI::Option* add_flag(const std::string& name, const std::string& help) {
    return app_.add_flag(name, help);
  }

  CLI::Option* add(const Spec& spec) {
    const std::string name = "--" + std::string(spec.name);
    if (spec.placeholder == nullptr) return add_flag(name, spec.help);
    return app_
        .add_option(
            name, [](const CLI::results_t&) { return true; }, spec.help)
        ->type_name(spec.placeholder)
        ->take_last();
  }

  static constexpr const char* empty_value = "\x01";

  [[nodiscard]] std::string hint() const {
    return fmt::format("; see 'memolock {} --help'", verb_.name);
  }

  /// The words that are no options of ours. What looks like an option before them is one we do not
  /// have.
  void take_command(const std::vector<std::string>& words) {
    const std::vector<std::string> rest = app_.remaining();
    if (rest.empty()) return;
    if (rest.front() != "--" && rest.front().size() > 1 && rest.front().front() == '-')
      throw usage_error("unknown option '" + escape_controls(rest.front()) + "'" + hint());
    // Taken from the line itself: CLI11 was given other words for some.
    auto& command = options_.command;
    command.assign(words.end() - static_cast<std::ptrdiff_t>(rest.size()), words.end());
    if (command.front() == "--") command.erase(command.begin());
    if (!command.empty() && command.front().empty())
      throw usage_error("the command's name is empty");
  }

  void take_values() {
    const std::vector<ConfigEntry> config = read_config();
    for (size_t i = 0; i < specs.size(); ++i) {
      const Spec& spec = specs.at(i);
      const CLI::Option* given = given_.at(i);
      if (given != nullptr && given->count() > 0) {
        take_words(spec, *given);
      } else if (spec.also == env && (given != nullptr || spec.verbs == 0)) {
        take_elsewhere(spec, config);
      }
    }
    warn_of_unknown_keys(config);
    if (quiet_->count() > 0) options_.log = Level::quiet;
    if (verbose_->count() > 0) options_.log = verbose_->count() > 1 ? Level::debug : Level::info;
    options_.tag_on_command_line = app_.get_option("--tag")->count() > 0;
  }

  void take_words(const Spec& spec, const CLI::Option& given) {
    const std::string source = "--" + std::string(spec.name);
    for (const std::string& value : given.results())
      set_from(source, spec, options_, value == empty_value ? "" : value);
  }

  void take_elsewhere(const Spec& spec, const std::vector<ConfigEntry>& config) {
    const std::string variable = variable_of(spec.name);
    // A variable set to nothing is how many a CI system says "unset".
    if (const char* value = getenv(variable.c_str()); value != nullptr && *value != '\0')
      return set_from(variable, spec, options_, value);
    for (const ConfigEntry& entry : config)
      if (entry.key == spec.name)
        set_from(entry.file + ": " + entry.key, spec, options_, entry.value);
  }

  void warn_of_unknown_keys(const std::vector<ConfigEntry>& config) {
    for (const ConfigEntry& entry : config) {
      const bool known = std::any_of(specs.begin(), specs.end(), [&](const Spec& spec) {
        return spec.also == env && spec.name == entry.key;
      });
      if (!known)
        options_.warnings.push_back(
            fmt::format("{}: unknown key '{}'", entry.file, escape_controls(entry.key)));
    }
  }

  const VerbSpec& verb_;
  Options& options_;
  CLI::App app_;
  std::array<CLI::Option*, specs.size()> given_{};
  CLI::Option* verbose_ = nullptr;
  CLI::Option* quiet_ = nullptr;
};

std::string overview() {
  std::string text =
      "Usage: memolock VERB [OPTION]... [--] [COMMAND [ARG]...]\n"
      "\n"
      "Memoizes a command and protects it from stampedes: of all who ask for an entry one\n"
      "runs the command, and everybody gets its output.\n"
      "\n"
      "  memolock get --tag q --id x --ttl 5s -- ./expensive-cmd\n"
      "\n"
      "Verbs:\n";
  for (const VerbSpec& verb : verbs) text += fmt::format("  {:<12}{}\n", verb.name, verb.help);
  return text +
         "\n"
         "Options:\n"
         "  -h,--help   this text; after a verb, its options\n"
         "  --version   the version\n";
}

}  // namespace

void read_options(int argc, char** argv, Options& options) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word == "--help" || word == "-h" || word == "help") {
    options.print = overview();
    return;
  }
  if (word == "--version") {
    options.print = fmt::format("memolock {}\n", MEMOLOCK_VERSION);
    return;
  }
  const auto* verb = std::find_if(verbs.begin(), verbs.end(),
                                  [&](const VerbSpec& v) { return v.name == word; });
  if (verb == verbs.end()) {
    if (word.empty()) throw usage_error("a verb is missing; see 'memolock --help'");
    throw usage_error("unknown verb '" + escape_controls(word) + "'; see 'memolock --help'");
  }
  options.verb = verb->verb;
  Reader(*verb, options).read(std::vector<std::string>(argv + 2, argv + argc));
}

}  // namespace memolock
