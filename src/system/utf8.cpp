#include "src/system/utf8.hpp"

#include <algorithm>
#include <array>

namespace memolock {
namespace {

struct Range {
  uint32_t first, last;
};

// The C1 controls, all of Unicode's Default_Ignorable_Code_Point (including characters that join
// letters or emoji), the line separators, and the annotation marks.
constexpr std::array<Range, 18> invisible{{
    {0x80, 0x9f},
    {0xad, 0xad},
    {0x34f, 0x34f},
    {0x61c, 0x61c},
    {0x115f, 0x1160},
    {0x17b4, 0x17b5},
    {0x180b, 0x180f},
    {0x200b, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x206f},
    {0x3164, 0x3164},
    {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
}};
// East Asian Width W and F, and emoji, in blocks. Unassigned code points in them do no harm.
constexpr std::array<Range, 20> wide{{
    {0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653}, {0x26a1, 0x26ff}, {0x2705, 0x2797},   {0x2b1b, 0x2b55},   {0x2e80, 0x303e},
    {0x3041, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
    {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd}, {0x16fe0, 0x18aff},
}};
// Combining marks, except the invisible ones, which are listed above.
constexpr std::array<Range, 5> combining{{
    {0x0300, 0x036f},
    {0x0483, 0x0489},
    {0x1ab0, 0x1aff},
    {0x1dc0, 0x1dff},
    {0x20d0, 0x20ff},
}};

template <size_t N>
bool is_in(const std::array<Range, N>& ranges, uint32_t code) {
  return std::any_of(ranges.begin(), ranges.end(), [code](const Range& range) {
    return range.first <= code && code <= range.last;
  });
}

/// The size of a character that begins with this byte; 0: no character does.
size_t size_by_lead(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/// Whether `code` is a valid code point and has no form shorter than `size` bytes.
bool is_canonical(uint32_t code, size_t size) {
  constexpr std::array<uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  return code >= least[size] && code <= 0x10ffff && !is_surrogate;
}

}  // namespace

std::optional<Utf8Character> first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t size = size_by_lead(lead);
  if (size == 0 || text.size() < size) return std::nullopt;
  if (size == 1) return Utf8Character{lead, 1};
  uint32_t code = lead & (0x7fU >> size);
  for (const char c : text.substr(1, size - 1)) {
    if (begins_character(c)) return std::nullopt;
    code = (code << 6U) | (static_cast<unsigned char>(c) & 0x3fU);
  }
  if (!is_canonical(code, size)) return std::nullopt;
  return Utf8Character{code, size};
}

std::string_view truncate_utf8(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t length = max_bytes;
  while (length > 0 && !begins_character(text[length])) --length;
  return text.substr(0, length);
}

std::string_view first_characters(std::string_view text, size_t count) {
  size_t end = 0;
  for (; end < text.size(); ++end)
    if (begins_character(text[end]) && count-- == 0) break;
  return text.substr(0, end);
}

size_t columns_of(uint32_t code) {
  if (is_in(combining, code)) return 0;
  return is_in(wide, code) ? 2 : 1;
}

bool is_visible(uint32_t code) {
  if (code < 0x80) return code >= 0x20 && code != 0x7f;
  return !is_in(invisible, code);
}

}  // namespace memolock
