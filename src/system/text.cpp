#include "src/system/text.hpp"

#include <algorithm>

#include "src/system/percent.hpp"
#include "src/system/utf8.hpp"

namespace memolock {
namespace {

std::string escape_byte(char c) {
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  const auto byte = static_cast<unsigned char>(c);
  return "\\x" + hex(&byte, 1);
}

}  // namespace

std::string escape_controls(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    size_t size = 1;
    const auto character = first_character(text);
    if (character && is_visible(character->code)) {
      size = character->size;
      escaped += text.substr(0, size);
    } else {
      escaped += escape_byte(text.front());
    }
    text.remove_prefix(size);
  }
  return escaped;
}

std::string quote_for_shell(const std::string& text) {
  const auto is_plain = [](char c) { return c == '/' || is_unreserved(c); };
  if (!text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), is_plain))
    return text;
  std::string word = text.starts_with('-') ? "./'" : "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace memolock
