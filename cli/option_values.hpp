// What the values of options may be. Each throws Error(usage) that says what is wrong with the
// value, without its source.
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

/// A word of the caller's as a message may show it: it may be a store's URL.
[[nodiscard]] std::string shown(std::string_view word);

/// The error that `value` is none of what was wanted: "'VALUE' WHAT".
[[nodiscard]] Error fault(const std::string& value, std::string_view what);

[[nodiscard]] Nanoseconds duration(const std::string& text);
[[nodiscard]] Nanoseconds duration_or_forever(const std::string& text);
/// At least 10 ms: in less nothing can be renewed or answered.
[[nodiscard]] Nanoseconds positive(const std::string& text);
/// Bytes.
[[nodiscard]] uint64_t size(const std::string& text);
/// 1, true, yes, on or 0, false, no, off, in any case; nothing for anything else.
[[nodiscard]] std::optional<bool> boolean_of(std::string_view text);
[[nodiscard]] bool flag(const std::string& text);
/// From `least` to 255.
[[nodiscard]] int exit_status(const std::string& text, int least);
/// Not empty, nor "-", which many programs take for a standard stream. `instead`: what else the
/// error says to write.
[[nodiscard]] std::string path(const std::string& text, std::string_view instead = "");
/// The same, or empty for none.
[[nodiscard]] std::string optional_path(const std::string& text, std::string_view instead = "");
/// A number from 0 to a million; `what` says what the error is to say.
[[nodiscard]] double number(std::string_view text, std::string_view what);

/// The words that an option takes, and what each means.
template <typename Value, size_t N>
using Choices = std::array<std::pair<std::string_view, Value>, N>;

/// Their names as one text that ends with NUL, as in "share|retry".
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

/// The value of the name that is `text`.
template <typename Value, size_t N>
[[nodiscard]] Value choice(const std::string& text, const Choices<Value, N>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names += names.empty() ? "" : ", ";
    names += name;
  }
  throw fault(text, "is none of " + names);
}

}  // namespace memolock
