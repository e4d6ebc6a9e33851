#include "cli/option_values.hpp"

#include <charconv>

#include <fmt/format.h>

#include "src/key.hpp"
#include "src/redis_address.hpp"
#include "src/units.hpp"

namespace memolock {

std::string shown(std::string_view word) { return escape_controls(without_password(word)); }

Error fault(const std::string& value, std::string_view what) {
  return usage_error(fmt::format("'{}' {}", shown(value), what));
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

Nanoseconds positive(const std::string& text) {
  const Nanoseconds length = duration(text);
  if (length < std::chrono::milliseconds(10)) throw fault(text, "is too short; at least 10ms");
  return length;
}

uint64_t size(const std::string& text) {
  if (const auto bytes = parse_size(text)) return *bytes;
  throw fault(text, "is no size (write 64MiB, 10MB, 4096)");
}

double number(std::string_view text, std::string_view what) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !(value >= 0) || value > 1e6)
    throw fault(std::string(text), what);
  return value;
}

}  // namespace memolock
