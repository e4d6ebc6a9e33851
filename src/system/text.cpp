#include "src/system/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "src/system/percent.hpp"

namespace memolock {
namespace {

struct Range {
  uint32_t first, last;
};

// Characters that show nothing, so that two names would look alike, or that rearrange what stands
// around them: the C1 controls, Unicode's Default_Ignorable_Code_Point (all of it, also what joins
// letters or emoji), the separators of lines, and the marks of annotations.
constexpr std::array<Range, 18> unseen{{{0x80, 0x9f},

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
                                        {0xe0000, 0xe0fff}}};

bool is_seen(uint32_t character) {
  return std::none_of(unseen.begin(), unseen.end(), [&](const Range& range) {
    return range.first <= character && character <= range.last;
  });
}

/// The length of the printable UTF-8 character at the front of `text`, 0 when there is none.
size_t printable_length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  size_t length = 0;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) length = 2;
  if (byte(0) >= 0xe0 && byte(0) <= 0xef) length = 3;
  if (byte(0) >= 0xf0 && byte(0) <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  uint32_t character = byte(0) & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    character = (character << 6U) | (byte(i) & 0x3fU);
  }
  // Overlong forms, surrogates and what lies past U+10FFFF are no characters.
  const uint32_t second = byte(1);
  if ((byte(0) == 0xe0 && second < 0xa0) || (byte(0) == 0xed && second >= 0xa0)) return 0;
  if ((byte(0) == 0xf0 && second < 0x90) || (byte(0) == 0xf4 && second >= 0x90)) return 0;
  return is_seen(character) ? length : 0;
}

}  // namespace

std::string_view cut_to(std::string_view text, size_t longest) {
  if (text.size() <= longest) return text;
  size_t length = longest;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80) --length;
  return text.substr(0, length);
}

std::string escape_controls(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    size_t length = printable_length(text);
    if (length > 0) {
      escaped += text.substr(0, length);
    } else {
      length = 1;
      const char c = text.front();
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        escaped += "\\n";
      } else if (c == '\t') {
        escaped += "\\t";
      } else {
        escaped += "\\x" + hex(&byte, 1);
      }
    }
    text.remove_prefix(length);
  }
  return escaped;
}

}  // namespace memolock
