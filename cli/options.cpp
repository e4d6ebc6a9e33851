#include "cli/options.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "cli/config.hpp"
#include "cli/option_table.hpp"
#include "cli/option_values.hpp"
#include "src/redis/address.hpp"
#include "src/store/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

bool is_of_verb(const OptionSpec& spec, const VerbSpec& verb) {
  return (spec.verbs & verb.bit) != 0;
}

bool is_on_its_line(const OptionSpec& spec, const VerbSpec& verb) {
  return is_of_verb(spec, verb) && spec.settable_in != SettableIn::environment_alone;
}

constexpr const char* help_names = "-h,--help";
constexpr const char* verbose_names = "-v,--verbose";
constexpr const char* quiet_names = "-q,--quiet";

/// An option and its description as a line of help, or two lines if the option is long.
std::string help_line(const std::string& names, std::string_view text) {
  constexpr size_t column = 32;
  std::string line = "  " + names;
  if (line.size() >= column) line += '\n' + std::string(column, ' ');
  return fmt::format("{:<{}}{}\n", line, column, text);
}

/// The output of `memolock VERB --help`. The help text of CLI11 is not used, because its layout
/// differs between versions, and the completions parse this text.
std::string help_of(const VerbSpec& verb) {
  std::string text = fmt::format("{}\nUsage: {}\n\nOptions:\n", verb.help, verb.usage);
  text += help_line(help_names, "show this help");
  for (const OptionSpec& spec : all_options()) {
    if (!is_on_its_line(spec, verb)) continue;
    const std::string name = "--" + std::string(spec.name);
    text += help_line(spec.placeholder == nullptr ? name : name + ' ' + spec.placeholder,
                      spec.help);
  }
  text += help_line(verbose_names, "explain each decision on stderr; twice: in more detail");
  return text + help_line(quiet_names, "print no messages");
}

std::string variable_of(std::string_view name) {
  std::string variable = "MEMOLOCK_";
  for (const char c : name)
    variable += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return variable;
}

void set_from(const std::string& source, const OptionSpec& spec, Options& options,
              const std::string& value) {
  try {
    spec.set(options, value);
  } catch (const Error& error) {
    throw usage_error(source + ": " + error.what());
  }
}

bool is_path(const OptionSpec& spec) {
  return spec.placeholder != nullptr && (std::string_view(spec.placeholder) == "FILE" ||
                                         std::string_view(spec.placeholder) == "PATH");
}

std::string expand_home_in(const std::string& source, const std::string& value) {
  try {
    return expand_home(value);
  } catch (const Error& error) {
    throw usage_error(source + ": " + error.what());
  }
}

/// An option as it is shown: without the value after "=", which can be a secret.
std::string shown_option(std::string_view word) { return shown(word.substr(0, word.find('='))); }

/// The words of a command line after the verb.
using Line = std::vector<std::string>;

/// Whether one of the words may be the option of this name.
bool is_named(std::string_view name, const Line& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return word.starts_with("--") && word.substr(2).starts_with(name);
  });
}

/// Reads the command line of one verb.
class Reader {
 public:
  Reader(const VerbSpec& verb, Options& options) : verb_(verb), options_(options) {
    app_.set_help_flag(help_names);
    if (verb.words == WordsAllowed::any) app_.prefix_command();
  }

  void read(const Line& words) {
    add_options(words);
    Line reversed(words.rbegin(), words.rend());
    // CLI11 would take "--id=" for an option without a value, and the next word for its value.
    for (std::string& word : reversed)
      if (word.starts_with("--") && word.ends_with('=')) word += empty_value;
    try {
      app_.parse(reversed);
    } catch (const CLI::CallForHelp&) {
      options_.print = help_of(verb_);
      return;
    } catch (const CLI::ExtrasError&) {
      throw usage_error("unexpected argument '" + shown(app_.remaining().front()) + "'" + hint());
    } catch (const CLI::ParseError& error) {
      throw usage_error(option_without_value(error) + " requires a value" + hint());
    }
    read_level();  // so that it applies to errors in the rest
    read_words(words);
    read_values();
  }

 private:
  /// Registers the options of this verb that the line may contain. CLI11 takes 5 µs for each
  /// option.
  void add_options(const Line& words) {
    const auto options = all_options();
    for (size_t i = 0; i < options.size(); ++i)
      if (is_on_its_line(options[i], verb_) && is_named(options[i].name, words))
        given_[i] = add(options[i]);
    verbose_ = app_.add_flag(verbose_names);
    quiet_ = app_.add_flag(quiet_names);
  }

  CLI::Option* add(const OptionSpec& spec) {
    const std::string name = "--" + std::string(spec.name);
    if (spec.placeholder == nullptr) return app_.add_flag(name);
    return app_.add_option(name, [](const CLI::results_t&) { return true; })
        ->type_name(spec.placeholder)  // shown in the message about a missing value
        ->take_last();
  }

  /// The option that made the parser fail. It must be an option without a value, because values are
  /// checked later. CLI11's text begins with its name.
  static std::string option_without_value(const CLI::ParseError& error) {
    const std::string_view text = error.what();
    return std::string(text.substr(0, text.find(':')));
  }

  /// A placeholder for an empty value. A word of a command line cannot contain a NUL.
  static constexpr std::string_view empty_value{"\0", 1};

  [[nodiscard]] std::string hint() const {
    return fmt::format("; see 'memolock {} --help'", verb_.name);
  }

  /// Reads the words after the options. Throws Error(usage) if the first one looks like an option
  /// without a preceding "--": it is an unknown option.
  void read_words(const Line& words) {
    const Line rest = app_.remaining();
    if (rest.empty()) return;
    if (rest.front() != "--" && rest.front().size() > 1 && rest.front().front() == '-')
      throw usage_error("unknown option '" + shown_option(rest.front()) + "'" + hint());
    // Copied from the line, since CLI11 was given placeholders for empty values.
    auto& command = options_.words;
    command.assign(words.end() - static_cast<std::ptrdiff_t>(rest.size()), words.end());
    if (command.front() == "--") command.erase(command.begin());
    if (!command.empty() && command.front().empty()) throw usage_error("the command name is empty");
    if (rest.front() != "--" && rest.size() < words.size())
      refuse_flag_value(words[words.size() - rest.size() - 1], rest);
  }

  /// A flag takes a value only after '='. If the command follows a flag without "--", its first
  /// word may have been meant as the value of the flag; throws Error(usage) if it looks like one.
  void refuse_flag_value(std::string_view before, const Line& command) const {
    const std::string& word = command.front();
    const bool is_number = word.find_first_not_of("0123456789.") == std::string::npos;
    if (!is_number && std::find(command.begin(), command.end(), "--") == command.end()) return;
    for (size_t i = 0; i < given_.size(); ++i) {
      const OptionSpec& spec = all_options()[i];
      if (spec.placeholder != nullptr || given_[i] == nullptr || given_[i]->count() == 0) continue;
      if (before == "--" + std::string(spec.name) && accepts(spec, word))
        throw usage_error(
            fmt::format("'{0}' is not read as the value of {1}; write {1}={0}, or '--' before the "
                        "command",
                        shown(word), before));
    }
  }

  static bool accepts(const OptionSpec& spec, const std::string& value) {
    Options scratch;
    return !failure_of([&] { spec.set(scratch, value); });
  }

  void read_values() {
    Config read = read_config();
    options_.warnings = std::move(read.warnings);
    options_.infos = std::move(read.infos);
    const std::vector<ConfigEntry>& config = read.entries;
    for (size_t i = 0; i < given_.size(); ++i) {
      const OptionSpec& spec = all_options()[i];
      const CLI::Option* given = given_[i];
      if (given != nullptr && given->count() > 0) {
        set_from_line(spec, *given);
        if (spec.name == "lease") options_.lease_on_command_line = true;
        if (spec.name == "tag") options_.tag_on_command_line = true;
        if (spec.name == "store") options_.store_on_command_line = true;
      } else if (spec.settable_in != SettableIn::nowhere &&
                 (is_of_verb(spec, verb_) || spec.verbs == 0)) {
        set_from_environment_or_file(spec, config);
      }
    }
    warn_of_unknown_keys(config);
    warn_of_exposed_passwords(config);
    read_level();
  }

  void read_level() {
    if (verbose_->count() > 0) options_.log = verbose_->count() > 1 ? Level::debug : Level::info;
    if (quiet_->count() > 0) options_.log = Level::quiet;
  }

  void set_from_line(const OptionSpec& spec, const CLI::Option& given) {
    const std::string source = "--" + std::string(spec.name);
    for (const std::string& value : given.results())
      set_from(source, spec, options_, value == empty_value ? "" : value);
  }

  void set_from_environment_or_file(const OptionSpec& spec,
                                    const std::vector<ConfigEntry>& config) {
    const std::string variable = variable_of(spec.name);
    // Many CI systems set a variable to the empty string instead of unsetting it.
    if (const char* value = getenv(variable.c_str()); value != nullptr && *value != '\0') {
      if (!contradicted(spec)) set_from_elsewhere(variable, spec, value);
      return;
    }
    if (spec.settable_in != SettableIn::environment_and_file) return;
    for (const ConfigEntry& entry : config) {
      if (entry.key != spec.name || contradicted(spec)) continue;
      if (!entry.has_supported_type)
        throw usage_error(
            fmt::format("{}: {}: must be a string, a number or a boolean", entry.file, entry.key));
      for (const std::string& value : entry.values)
        set_from_elsewhere(entry.file + ": " + entry.key, spec, value);
    }
  }

  /// Sets an option from a variable or a file. Expands a leading "~/" of a path, which no shell has
  /// done in a file or in the variables of a service or a CI job.
  void set_from_elsewhere(const std::string& source, const OptionSpec& spec,
                          const std::string& value) {
    if (spec.value_for_other_verbs != nullptr && value == spec.value_for_other_verbs) return;
    set_from(source, spec, options_, is_path(spec) ? expand_home_in(source, value) : value);
    options_.sources[spec.name] = source;  // for errors that are found only later
  }

  /// Whether the command line contains the opposite of this flag, which is set by a variable or a
  /// file.
  [[nodiscard]] bool contradicted(const OptionSpec& spec) const {
    if (spec.placeholder != nullptr) return false;
    const std::string name(spec.name);
    const CLI::Option* const opposite = app_.get_option_no_throw(
        name.starts_with("no-") ? "--" + name.substr(3) : "--no-" + name);
    return opposite != nullptr && opposite->count() > 0;
  }

  void warn_of_unknown_keys(const std::vector<ConfigEntry>& config) {
    const auto options = all_options();
    for (const ConfigEntry& entry : config) {
      const bool known = std::any_of(options.begin(), options.end(), [&](const OptionSpec& spec) {
        return spec.settable_in == SettableIn::environment_and_file && spec.name == entry.key;
      });
      if (!known)
        options_.warnings.push_back(
            fmt::format("{}: unknown key '{}'", entry.file, escape_controls(entry.key)));
    }
  }

  void warn_of_exposed_passwords(const std::vector<ConfigEntry>& config) {
    for (const ConfigEntry& entry : config) {
      const bool has_password = entry.key == "store" &&
                                std::any_of(entry.values.begin(), entry.values.end(),
                                            [](const std::string& value) {
                                              return without_password(value) != value;
                                            });
      if (has_password && !entry.exposure_advice.empty())
        options_.warnings.push_back(fmt::format("other users can read the password in {}; {}",
                                                entry.file, entry.exposure_advice));
    }
  }

  const VerbSpec& verb_;
  Options& options_;
  CLI::App app_;
  std::vector<CLI::Option*> given_ = std::vector<CLI::Option*>(all_options().size());
  CLI::Option* verbose_ = nullptr;
  CLI::Option* quiet_ = nullptr;
};

std::string overview() {
  std::string text =
      "Usage: memolock VERB [OPTION]... [--] [COMMAND [ARG]...]\n"
      "\n"
      "Stores the output of a command and replays it while it is fresh. Of concurrent\n"
      "callers, one runs the command, and the others wait for its output.\n"
      "\n"
      "  memolock get --tag q --id x --ttl 5s -- ./expensive-cmd\n"
      "\n"
      "Verbs:\n";
  for (const VerbSpec& verb : all_verbs())
    text += fmt::format("  {:<12}{}\n", verb.name, verb.help);
  return text +
         "\n"
         "Options:\n"
         "  -h,--help   show this help; after a verb, its options\n"
         "  --version   show the version\n";
}

bool is_verb(const std::string& word) {
  const auto verbs = all_verbs();
  return std::any_of(verbs.begin(), verbs.end(),
                     [&](const VerbSpec& verb) { return verb.name == word; });
}

/// Whether the word is one of the options that all verbs take and that have no value.
bool is_common_flag(const std::string& word) {
  return word == "-v" || word == "--verbose" || word == "-q" || word == "--quiet";
}

bool is_option(std::string_view word) {
  const auto options = all_options();
  return std::any_of(options.begin(), options.end(), [&](const OptionSpec& option) {
    return word.starts_with("--") && word.substr(2, word.find('=') - 2) == option.name;
  });
}

/// The error of a command line that does not begin with a verb.
Error unknown_verb(const Line& words) {
  std::string fault = "a verb is required";
  const auto first = std::find_if_not(words.begin(), words.end(), is_common_flag);
  if (first != words.end() && !first->empty() && first->front() != '-') {
    fault = is_verb(*first) ? fmt::format("'{}' must follow the verb {}", words.front(), *first)
                            : "unknown verb '" + shown(*first) + "'";
  } else if (!words.empty() && !words.front().empty()) {
    // What follows may be the option's value, and a secret.
    const std::string option = shown_option(words.front());
    const bool is_known = is_common_flag(words.front()) || is_option(words.front());
    fault = is_known ? "'" + option + "' must follow a verb" : "unknown option '" + option + "'";
  }
  return usage_error(fault + "; see 'memolock --help'");
}

}  // namespace

void read_options(int argc, char** argv, Options& options) {
  // Before the rest, so that it also applies to errors in the command line.
  if (const char* level = getenv("MEMOLOCK_LOG");
      level != nullptr && std::string_view(level) == "quiet")
    options.log = Level::quiet;
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word == "--help" || word == "-h" || word == "help") {
    options.print = overview();
    return;
  }
  if (word == "--version") {
    options.print = fmt::format("memolock {}\n", MEMOLOCK_VERSION);
    return;
  }
  const auto verbs = all_verbs();
  const auto verb = std::find_if(verbs.begin(), verbs.end(),
                                 [&](const VerbSpec& v) { return v.name == word; });
  if (verb == verbs.end()) throw unknown_verb(Line(argv + std::min(argc, 1), argv + argc));
  options.verb = verb->verb;
  if (verb->set_defaults != nullptr) verb->set_defaults(options);
  Reader(*verb, options).read(Line(argv + 2, argv + argc));
}

KeyInputs key_inputs(const Options& options) {
  KeyInputs inputs = options.key;
  if (options.key_cwd) inputs.directory = KeyInputs::Directory::counts;
  if (options.no_key_cwd) inputs.directory = KeyInputs::Directory::left_out;
  return inputs;
}

}  // namespace memolock
