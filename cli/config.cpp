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

// The library reports errors in malformed files, but some also fail its assertions, which would
// abort.
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
// The library recurses for each level of nesting, and the stack may be small.
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>

#include "src/system/descriptor.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/secret_file.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr const char* system_file = "/etc/memolock/config.toml";

std::string user_file() {
  const char* base = getenv("XDG_CONFIG_HOME");
  if (base != nullptr && *base == '/') return std::string(base) + "/memolock/config.toml";
  const char* home = getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.config/memolock/config.toml"
                                          : "";
}

constexpr size_t most_bytes = 1U << 20;

struct Text {
  std::string text;
  std::string exposure_advice;
};

/// Advice on how to protect a secret in the open file; "" if others cannot read it.
std::string protection_advice(int file, const std::string& path) {
  struct stat info {};
  if (!is_exposed(file)) return "";
  // The system-wide file is meant to be readable, and only its owner can change a file's mode.
  const bool is_own = path != system_file && fstat(file, &info) == 0 &&
                      info.st_uid == user_at_start();
  return is_own ? exposure_advice(path)
                : "move the password to a file of its own and name it with password-file";
}

/// Whether this user cannot find out whether the file exists, because of the permissions of a
/// directory above it. An example is the home directory of another user, whose environment
/// variables this process has inherited.
bool is_hidden(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), F_OK, AT_EACCESS) != 0 && errno == EACCES;
}

/// Adds to `config` a message that this user may not read the file.
void note_refusal(const std::string& path, int error, Config& config) {
  const bool is_unseen = error == EACCES && is_hidden(path);
  auto& lines = is_unseen && path != system_file ? config.infos : config.warnings;
  lines.push_back(fmt::format("cannot {} {}: {}; continuing without it",
                              is_unseen ? "access" : "read", escape_controls(path),
                              error_text(error)));
}

/// The content of the file. Nothing if it does not exist or this user may not read it.
std::optional<Text> read_text(const std::string& path, Config& config) {
  const auto cannot = [&](const std::string& why) {
    return usage_error("cannot read " + path + ": " + why);
  };
  // O_NONBLOCK: if the file is a FIFO, calls must not hang.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    const int error = errno;
    if (error == EACCES || error == EPERM) {
      note_refusal(path, error, config);
    } else if (error != ENOENT && error != ENOTDIR) {
      throw cannot(error_text(error));
    }
    return std::nullopt;
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) throw cannot("not a regular file");
  const auto too_large = [&] { return cannot("it is larger than 1 MiB"); };
  if (info.st_size > static_cast<off_t>(most_bytes)) throw too_large();
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t got = read_all_at(file.get(), piece.data(), piece.size(), text.size());
    if (got < 0) throw cannot(error_text(errno));
    if (got == 0) return Text{std::move(text), protection_advice(file.get(), path)};
    if (text.size() + static_cast<size_t>(got) > most_bytes) throw too_large();
    text.append(piece.data(), static_cast<size_t>(got));
  }
}

/// The position after the string that begins at `at`. After an unterminated string the position
/// does not matter: the library refuses the file without reading what follows.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool has_lines = text.substr(at).starts_with(three);
  for (at += has_lines ? 3 : 1; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (has_lines && text.substr(at).starts_with(three)) {
      // Up to two more quotes are the last characters of the string.
      return std::min({text.find_first_not_of(quote, at), at + 5, text.size()});
    } else if (!has_lines && text[at] == quote) {
      return at + 1;
    }
  }
  return text.size();
}

/// Throws if a key has too many parts separated by dots: the library nests a table for each part,
/// and recurses to destroy them. No key of memolock has that many parts. Ignores dots in strings
/// and comments.
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
      if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) dots = 0;  // the key ends
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

/// The value in the form in which it would be written on the command line.
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
    entry.has_supported_type = entry.has_supported_type && text;
    entry.values.push_back(std::move(text).value_or(""));
  };
  if (const toml::array* const list = node.as_array()) {
    for (const toml::node& value : *list) add(value);
  } else {
    add(node);
  }
  return entry;
}

/// Why the library refuses a file. Its own message may quote a password.
const char* fault_of(const toml::parse_error& error) {
  // The library tells errors apart only by their text: "Error while parsing WHAT: WHY".
  std::string_view why = error.description();
  why.remove_prefix(std::min(why.find(": "), why.size()));
  return why.starts_with(": cannot redefine existing ") ? "a key is set twice" : "not valid TOML";
}

void read_file(const std::string& path, Config& config) {
  const auto read = path.empty() ? std::nullopt : read_text(path, config);
  if (!read) return;
  const auto& [text, exposure_advice] = *read;
  auto& entries = config.entries;
  refuse_deep_keys(text, path);
  try {
    for (const auto& [key, node] : toml::parse(text, path)) {
      const std::string name(key.str());
      const bool known = std::any_of(entries.begin(), entries.end(),
                                     [&](const ConfigEntry& e) { return e.key == name; });
      if (known) continue;
      entries.push_back(read_entry(path, name, node));
      entries.back().exposure_advice = exposure_advice;
    }
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    throw usage_error(
        fmt::format("{}: line {}, column {}: {}", path, at.line, at.column, fault_of(error)));
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
