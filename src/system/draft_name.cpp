#include "src/system/draft_name.hpp"

#include <fmt/format.h>

namespace memolock {
namespace {

constexpr std::string_view beginning = ".memolock-";
constexpr std::string_view replaced_mark = "replaced-";
constexpr std::string_view unlocked_mark = "new";
constexpr size_t token_size = 32;

bool consists_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

}  // namespace

DraftNames::DraftNames(std::string_view token) : prefix_(fmt::format("{}{}-", beginning, token)) {}

std::string DraftNames::draft(size_t number) const { return fmt::format("{}{}", prefix_, number); }

std::string DraftNames::unlocked() const { return fmt::format("{}{}", prefix_, unlocked_mark); }

std::string DraftNames::replaced(size_t folder) const {
  return fmt::format("{}{}{}", prefix_, replaced_mark, folder);
}

std::optional<std::string_view> DraftNames::token_in(std::string_view name) {
  if (!name.starts_with(beginning)) return std::nullopt;
  name.remove_prefix(beginning.size());
  const std::string_view token = name.substr(0, token_size);
  std::string_view rest = name.substr(token.size());
  if (token.size() != token_size || !consists_of(token, "0123456789abcdef") ||
      !rest.starts_with('-'))
    return std::nullopt;
  rest.remove_prefix(1);
  if (rest == unlocked_mark) return token;
  if (rest.starts_with(replaced_mark)) rest.remove_prefix(replaced_mark.size());
  if (rest.empty() || !consists_of(rest, "0123456789")) return std::nullopt;
  return token;
}

}  // namespace memolock
