#include "src/entry/key.hpp"

#include <fmt/format.h>

#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr size_t longest_tag = 1024;

}  // namespace

std::string Key::shown() const { return escape_controls(id.empty() ? tag : tag + ':' + id); }

std::optional<std::string> check_tag(std::string_view tag) {
  if (tag.empty()) return "is empty";
  if (tag.size() > longest_tag) return "is longer than 1024 bytes";
  for (const char c : tag) {
    if (c == ':' || c == '{' || c == '}') return fmt::format("must not contain '{}'", c);
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return "must not contain control characters";
  }
  for (const std::string_view ending : tag_suffix::all)
    if (tag.ends_with(ending)) return fmt::format("must not end in '{}'", ending);
  return std::nullopt;
}

std::optional<std::string> check_id(std::string_view id) {
  if (id.empty()) return "is empty";
  if (id.size() > max_id_size) return "is longer than 1024 bytes";
  return std::nullopt;
}

}  // namespace memolock
