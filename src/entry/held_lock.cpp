#include "src/entry/held_lock.hpp"

#include <algorithm>
#include <utility>

#include "src/system/percent.hpp"

namespace memolock {

std::vector<HeldLock> parse_held(std::string_view text) {
  std::vector<HeldLock> held;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const size_t colon = word.find(':');
    const size_t equals = word.find('=');
    if (colon == std::string_view::npos || equals == std::string_view::npos || equals < colon)
      continue;
    auto tag = percent_unescape(word.substr(0, colon));
    auto id = percent_unescape(word.substr(colon + 1, equals - colon - 1));
    if (tag && id)
      held.push_back({{std::move(*tag), std::move(*id)}, std::string(word.substr(equals + 1))});
  }
  return held;
}

std::string format_held(const std::vector<HeldLock>& held) {
  std::string text;
  for (const HeldLock& lock : held) {
    if (!text.empty()) text += ' ';
    text += percent_escape(lock.key.tag) + ':' + percent_escape(lock.key.id) + '=' + lock.token;
  }
  return text;
}

}  // namespace memolock
