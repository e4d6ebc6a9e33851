#include "src/system/shell_word.hpp"

#include <algorithm>

#include "src/system/percent.hpp"

namespace memolock {

std::string shell_word(const std::string& text) {
  const auto is_plain = [](char c) { return c == '/' || is_unreserved(c); };
  if (!text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), is_plain))
    return text;
  std::string word = text.starts_with('-') ? "./'" : "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace memolock
