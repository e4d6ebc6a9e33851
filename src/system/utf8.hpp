// UTF-8. Only this module decodes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace memolock {

/// One character of a text.
struct Utf8Character {
  uint32_t code;  ///< its code point
  size_t size;    ///< in bytes, 1 to 4
};

/// The character at the front of `text`, which must not be empty. Nothing if the bytes there are
/// not UTF-8, which excludes overlong forms, surrogates and code points above U+10FFFF.
[[nodiscard]] std::optional<Utf8Character> first_character(std::string_view text);

/// Whether `c` begins a character; false for a continuation byte.
[[nodiscard]] constexpr bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
}

/// The longest prefix of a UTF-8 text that has at most `max_bytes` bytes and does not end inside a
/// character.
[[nodiscard]] std::string_view truncate_utf8(std::string_view text, size_t max_bytes);

/// The longest prefix of a UTF-8 text that has at most `count` characters.
[[nodiscard]] std::string_view first_characters(std::string_view text, size_t count);

/// How many columns of a terminal a printable character takes: 2 for an East Asian wide character
/// or an emoji, 0 for a combining mark, otherwise 1.
[[nodiscard]] size_t columns_of(uint32_t code);

/// Whether a character can be seen. False for control characters and for characters that, according
/// to Unicode, a terminal may ignore or use to reorder other characters: with these, two different
/// names could look alike.
[[nodiscard]] bool is_visible(uint32_t code);

}  // namespace memolock
