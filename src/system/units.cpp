#include "src/system/units.hpp"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace memolock {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Nanoseconds longest = days(100000);

/// A decimal number at the front of a text: digits, with at most one point between, before or after
/// them. Stored as whole and billionths, so that 0.1s is exactly 100 ms.
struct Decimal {
  uint64_t whole = 0;
  uint64_t billionths = 0;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<Decimal> take_decimal(std::string_view& text) {
  Decimal number;
  bool digits = false;
  while (!text.empty() && is_digit(text.front())) {
    const auto digit = static_cast<uint64_t>(text.front() - '0');
    if (number.whole > (std::numeric_limits<uint64_t>::max() - digit) / 10) return std::nullopt;
    number.whole = number.whole * 10 + digit;
    digits = true;
    text.remove_prefix(1);
  }
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    uint64_t weight = 100'000'000;
    while (!text.empty() && is_digit(text.front())) {
      number.billionths += weight * static_cast<uint64_t>(text.front() - '0');
      weight /= 10;
      digits = true;
      text.remove_prefix(1);
    }
  }
  if (!digits) return std::nullopt;
  return number;
}

std::string_view take_word(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && !is_digit(text[length]) && text[length] != '.') ++length;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

std::optional<Nanoseconds> duration_unit(std::string_view word) {
  if (word == "ms") return milliseconds(1);
  if (word == "s") return seconds(1);
  if (word == "m") return minutes(1);
  if (word == "h") return hours(1);
  if (word == "d") return days(1);
  if (word == "w") return days(7);
  return std::nullopt;
}

std::optional<uint64_t> size_unit(std::string_view word) {
  struct Unit {
    std::string_view name;
    uint64_t bytes;
  };
  static constexpr std::array<Unit, 14> units{{
      {"", 1},
      {"B", 1},
      {"K", 1ULL << 10},
      {"KiB", 1ULL << 10},
      {"kB", 1000},
      {"KB", 1000},
      {"M", 1ULL << 20},
      {"MiB", 1ULL << 20},
      {"MB", 1000'000},
      {"G", 1ULL << 30},
      {"GiB", 1ULL << 30},
      {"GB", 1000'000'000},
      {"T", 1ULL << 40},
      {"TiB", 1ULL << 40},
  }};
  for (const Unit& unit : units)
    if (unit.name == word) return unit.bytes;
  return std::nullopt;
}

}  // namespace

std::optional<Nanoseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Nanoseconds sum{0};
  Nanoseconds previous_unit = forever;
  bool first = true;
  while (!text.empty()) {
    const auto number = take_decimal(text);
    if (!number) return std::nullopt;
    const std::string_view word = take_word(text);
    // A number without a unit means seconds, but only if it stands alone: "1h30" is probably a
    // mistake.
    const auto unit = word.empty() && first ? seconds(1) : duration_unit(word);
    if (!unit || *unit >= previous_unit) return std::nullopt;
    if (number->whole > static_cast<uint64_t>((longest - sum) / *unit)) return std::nullopt;
    sum += static_cast<int64_t>(number->whole) * *unit;
    sum += Nanoseconds(static_cast<int64_t>(static_cast<long double>(number->billionths) *
                                            static_cast<long double>(unit->count()) / 1e9L));
    if (sum > longest) return std::nullopt;
    previous_unit = *unit;
    first = false;
  }
  return sum;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  const auto number = take_decimal(text);
  if (!number) return std::nullopt;
  const auto unit = size_unit(text);
  if (!unit || number->whole > std::numeric_limits<int64_t>::max() / *unit) return std::nullopt;
  const auto fraction = static_cast<uint64_t>(static_cast<long double>(number->billionths) *
                                              static_cast<long double>(*unit) / 1e9L);
  const uint64_t bytes = number->whole * *unit + fraction;
  if (bytes > std::numeric_limits<int64_t>::max()) return std::nullopt;
  return bytes;
}

std::optional<int> parse_number(std::string_view text, int min, int max) {
  int value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || text[0] == '-' || error != std::errc() || rest != end) return std::nullopt;
  if (value < min || value > max) return std::nullopt;
  return value;
}

std::string format_duration(Nanoseconds length) {
  if (length == forever) return "forever";
  if (length < seconds(1)) return fmt::format("{}ms", length / milliseconds(1));
  if (length < minutes(1)) {
    const auto tenths = length / milliseconds(100);
    return tenths % 10 == 0 ? fmt::format("{}s", tenths / 10)
                            : fmt::format("{}.{}s", tenths / 10, tenths % 10);
  }
  const auto pair = [&](Nanoseconds big, char big_name, Nanoseconds small, char small_name) {
    const auto rest = length % big / small;
    return rest == 0 ? fmt::format("{}{}", length / big, big_name)
                     : fmt::format("{}{}{}{}", length / big, big_name, rest, small_name);
  };
  if (length < hours(1)) return pair(minutes(1), 'm', seconds(1), 's');
  if (length < days(1)) return pair(hours(1), 'h', minutes(1), 'm');
  return pair(days(1), 'd', hours(1), 'h');
}

std::string format_size(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr std::array<const char*, 4> names{"KiB", "MiB", "GiB", "TiB"};
  auto tenths = bytes * 10 / 1024;
  size_t unit = 0;
  while (tenths >= 10240 && unit + 1 < names.size()) {
    tenths /= 1024;
    ++unit;
  }
  return fmt::format("{}.{} {}", tenths / 10, tenths % 10, names.at(unit));
}

}  // namespace memolock
