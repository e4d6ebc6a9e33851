#include "cli/config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

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

/// The file's text; nothing when there is no such file.
std::optional<std::string> read_text(const std::string& path) {
  const auto cannot = [&](const std::string& why) {
    return usage_error("cannot read " + path + ": " + why);
  };
  // A FIFO in its place must not make every call hang.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) return std::nullopt;
    throw cannot(error_text(errno));
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) throw cannot("not a regular file");
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t got = read_all_at(file.get(), piece.data(), piece.size(), text.size());
    if (got < 0) throw cannot(error_text(errno));
    if (got == 0) return text;
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

void read_file(const std::string& path, std::vector<ConfigEntry>& entries) {
  const auto text = path.empty() ? std::nullopt : read_text(path);
  if (!text) return;
  refuse_deep_keys(*text, path);
  try {
    for (const auto& [key, node] : toml::parse(*text, path)) {
      const std::string name(key.str());
      const bool known = std::any_of(entries.begin(), entries.end(),
                                     [&](const ConfigEntry& e) { return e.key == name; });
      if (!known) entries.push_back(read_entry(path, name, node));
    }
  } catch (const toml::parse_error& error) {
    throw usage_error(fmt::format("{}: line {}: {}", path, error.source().begin.line,
                                  escape_controls(error.description())));
  }
}

}  // namespace

std::vector<ConfigEntry> read_config() {
  std::vector<ConfigEntry> entries;
  read_file(user_file(), entries);
  read_file(system_file, entries);
  return entries;
}

}  // namespace memolock
