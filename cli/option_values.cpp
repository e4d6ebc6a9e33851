#include "cli/option_values.hpp"

#include <strings.h>

#include <charconv>

#include <fmt/format.h>

#include "src/redis/address.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {

std::string shown(std::string_view word) {
  std::string safe = without_password(word);
  // A URL whose scheme is missing may contain a password too.
  const size_t scheme = safe.find("://");
  const bool has_scheme = scheme != std::string::npos && scheme == safe.find_first_of(":@");
  const size_t colon = safe.find(':', has_scheme ? scheme + 3 : 0);
  const size_t at = safe.rfind('@');
  if (at != std::string::npos && colon < at) safe.erase(colon, at - colon);
  return escape_controls(safe);
}

Error value_error(const std::string& value, std::string_view what) {
  return usage_error(fmt::format("'{}' {}", shown(value), what));
}

Nanoseconds duration(const std::string& text) {
  if (const auto length = parse_duration(text)) return *length;
  throw value_error(text, "is not a duration (write 500ms, 5s, 1h30m, 2d)");
}

Nanoseconds duration_or_forever(const std::string& text) {
  return text == "forever" ? forever : duration(text);
}

std::optional<bool> parse_boolean(std::string_view text) {
  static constexpr Choices<bool, 8> words{{{"1", true},
                                           {"true", true},
                                           {"yes", true},
                                           {"on", true},
                                           {"0", false},
                                           {"false", false},
                                           {"no", false},
                                           {"off", false}}};
  for (const auto& [word, value] : words)
    if (text.size() == word.size() && strncasecmp(text.data(), word.data(), word.size()) == 0)
      return value;
  return std::nullopt;
}

bool flag(const std::string& text) {
  if (const auto value = parse_boolean(text)) return *value;
  throw value_error(text, "is not a boolean (write 1, true, yes or on; or 0, false, no or off)");
}

int exit_status(const std::string& text, int min) {
  if (const auto status = parse_number(text, min, 255)) return *status;
  throw value_error(text, fmt::format("is not an exit status from {} to 255", min));
}

std::string path(const std::string& text, std::string_view instead) {
  if (text.empty()) throw value_error(text, "is not a path");
  if (text == "-")
    throw value_error(text,
                      fmt::format("is ambiguous (write {}./- for a file of that name)", instead));
  return text;
}

std::string optional_path(const std::string& text, std::string_view instead) {
  return text.empty() ? text : path(text, instead);
}

Nanoseconds lease_or_timeout(const std::string& text) {
  const Nanoseconds length = duration(text);
  if (length < std::chrono::milliseconds(10))
    throw value_error(text, "is too short (minimum: 10ms)");
  return length;
}

uint64_t size(const std::string& text) {
  if (const auto bytes = parse_size(text)) return *bytes;
  throw value_error(text, "is not a size (write 64MiB, 10MB, 4096)");
}

double number(std::string_view text, std::string_view what) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !(value >= 0) || value > 1e6)
    throw value_error(std::string(text), what);
  return value;
}

}  // namespace memolock
