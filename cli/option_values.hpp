// Parsers for the values of options. Unless its comment says otherwise, each throws Error(usage)
// that says what is wrong with the value; the caller adds the name of the option, variable or file.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "src/system/clock.hpp"
#include "src/system/error.hpp"

namespace memolock {

/// A word from the command line, prepared for a message: escaped, and without its password if it is
/// a URL.
[[nodiscard]] std::string shown(std::string_view word);

/// The error "'VALUE' WHAT".
[[nodiscard]] Error value_error(const std::string& value, std::string_view what);

[[nodiscard]] Nanoseconds duration(const std::string& text);
[[nodiscard]] Nanoseconds duration_or_forever(const std::string& text);
/// At least 10 ms: a shorter lease could not be renewed in time, and a shorter timeout would pass
/// before a server answers.
[[nodiscard]] Nanoseconds lease_or_timeout(const std::string& text);
/// In bytes.
[[nodiscard]] uint64_t size(const std::string& text);
/// 1, true, yes, on or 0, false, no, off, in upper or lower case; nothing for anything else. Does
/// not throw.
[[nodiscard]] std::optional<bool> parse_boolean(std::string_view text);
[[nodiscard]] bool flag(const std::string& text);
/// From `min` to 255.
[[nodiscard]] int exit_status(const std::string& text, int min);
/// A path: neither empty nor "-", which other programs take for a standard stream. `instead`: an
/// alternative for the error message to suggest.
[[nodiscard]] std::string path(const std::string& text, std::string_view instead = "");
/// The same, or empty for none.
[[nodiscard]] std::string optional_path(const std::string& text, std::string_view instead = "");
/// A number from 0 to a million. Throws value_error(text, what) for anything else.
[[nodiscard]] double number(std::string_view text, std::string_view what);

/// The words that an option accepts, and what each means.
template <typename Value, size_t N>
using Choices = std::array<std::pair<std::string_view, Value>, N>;

/// The words as one C string: "share|retry".
template <const auto& choices>
constexpr auto names_of = [] {
  constexpr size_t size = [] {
    size_t sum = 0;
    for (const auto& choice : choices) sum += choice.first.size() + 1;
    return sum;
  }();
  std::array<char, size> text{};
  auto* end = text.begin();
  for (const auto& choice : choices) {
    if (end != text.begin()) *end++ = '|';
    end = std::copy(choice.first.begin(), choice.first.end(), end);
  }
  return text;
}();

/// The value of the word `text`.
template <typename Value, size_t N>
[[nodiscard]] Value choice(const std::string& text, const Choices<Value, N>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names += names.empty() ? "" : ", ";
    names += name;
  }
  throw value_error(text, "must be one of " + names);
}

}  // namespace memolock
