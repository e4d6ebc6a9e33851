#include "cli/config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

// The library asserts, too, what a malformed file breaks, before it says what is wrong with it.
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
// It recurses for each, and the stack may be small.
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>

#include "src/descriptor.hpp"
#include "src/error.hpp"
#include "src/key.hpp"
#include "src/secret_file.hpp"

namespace memolock {
namespace {

constexpr const char* system_file = "/etc/memolock/config.toml";

std::string user_file() {
  const char* folder = getenv("XDG_CONFIG_HOME");
  if (folder != nullptr && *folder == '/') return std::string(folder) + "/memolock/config.toml";
  const char* home = getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.config/memolock/config.toml"
                                          : "";
}

constexpr size_t most_bytes = 1U << 20;

struct Text {
  std::string text;
  bool exposed = false;
};

/// Whether a folder on the way to the file keeps this user from knowing whether it is there, as
/// another user's home does whose variables this process has inherited.
bool is_out_of_reach(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), F_OK, AT_EACCESS) != 0 && errno == EACCES;
}

/// Nothing when there is no such file, or it is out of reach, which is a warning.
std::optional<Text> read_text(const std::string& path, std::vector<std::string>& warnings) {
  const auto cannot = [&](const std::string& why) {
    return usage_error("cannot read " + path + ": " + why);
  };
  // A FIFO in its place must not make every call hang.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return std::nullopt;
    if (error != EACCES || !is_out_of_reach(path)) throw cannot(error_text(error));
    warnings.push_back(fmt::format("cannot look for {}: {}; going on without it",
                                   escape_controls(path), error_text(error)));
    return std::nullopt;
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) throw cannot("not a regular file");
  const auto too_large = [&] { return cannot("it has more than 1 MiB"); };
  if (info.st_size > static_cast<off_t>(most_bytes)) throw too_large();
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t got = read_all_at(file.get(), piece.data(), piece.size(), text.size());
    if (got < 0) throw cannot(error_text(errno));
    if (got == 0) return Text{std::move(text), is_exposed(file.get())};
    if (text.size() + static_cast<size_t>(got) > most_bytes) throw too_large();
    text.append(piece.data(), static_cast<size_t>(got));
  }
}

/// Behind the string that begins at `at`. One that does not end is for the library to refuse: it
/// reads nothing after it.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool has_lines = text.substr(at).starts_with(three);
  for (at += has_lines ? 3 : 1; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (has_lines && text.substr(at).starts_with(three)) {
      // Two more are the string's last characters.
      return std::min({text.find_first_not_of(quote, at), at + 5, text.size()});
    } else if (!has_lines && text[at] == quote) {
      return at + 1;
    }
  }
  return text.size();
}

/// The library makes a table for each part of a dotted key, one in the other, and recurses to
/// destroy them. No key of memolock's has that many parts. Dots in strings and comments are not
/// counted.
void refuse_deep_keys(std::string_view text, const std::string& path) {
  constexpr size_t most_dots = 100;
  size_t dots = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = end_of_string(text, at);
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else {
      if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) dots = 0;  // no key's
      if (c == '.' && ++dots > most_dots) {
        const auto line = 1 +
                          std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
        throw usage_error(
            fmt::format("{}: line {}: a key has more than {} parts", path, line, most_dots));
      }
      ++at;
    }
  }
}

/// A value as it would stand on the command line.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<int64_t>()) return fmt::format("{}", *number);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto flag = node.value_exact<bool>()) return *flag ? "1" : "0";
  return std::nullopt;
}

ConfigEntry read_entry(const std::string& path, const std::string& key, const toml::node& node) {
  ConfigEntry entry{key, {}, path};
  const auto add = [&](const toml::node& value) {
    auto text = text_of(value);
    entry.is_fit = entry.is_fit && text;
    entry.values.push_back(std::move(text).value_or(""));
  };
  if (const toml::array* const list = node.as_array()) {
    for (const toml::node& value : *list) add(value);
  } else {
    add(node);
  }
  return entry;
}

void read_file(const std::string& path, Config& config) {
  const auto read = path.empty() ? std::nullopt : read_text(path, config.warnings);
  if (!read) return;
  const auto& [text, exposed] = *read;
  auto& entries = config.entries;
  refuse_deep_keys(text, path);
  try {
    for (const auto& [key, node] : toml::parse(text, path)) {
      const std::string name(key.str());
      const bool known = std::any_of(entries.begin(), entries.end(),
                                     [&](const ConfigEntry& e) { return e.key == name; });
      if (known) continue;
      entries.push_back(read_entry(path, name, node));
      entries.back().is_exposed = exposed;
    }
  } catch (const toml::parse_error& error) {
    throw usage_error(fmt::format("{}: line {}: {}", path, error.source().begin.line,
                                  escape_controls(error.description())));
  }
}

}  // namespace

Config read_config() {
  Config config;
  read_file(user_file(), config);
  read_file(system_file, config);
  return config;
}

}  // namespace memolock
