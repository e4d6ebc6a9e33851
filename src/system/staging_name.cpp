#include "src/system/staging_name.hpp"

#include <fmt/format.h>

namespace memolock {
namespace {

constexpr std::string_view common_prefix = ".memolock-";
constexpr std::string_view replaced_mark = "replaced-";
constexpr std::string_view unlocked_mark = "new";
constexpr size_t token_size = 32;

bool consists_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

}  // namespace

StagingNames::StagingNames(std::string_view token)
    : prefix_(fmt::format("{}{}-", common_prefix, token)) {}

std::string StagingNames::staged(size_t number) const {
  return fmt::format("{}{}", prefix_, number);
}

std::string StagingNames::unlocked() const { return fmt::format("{}{}", prefix_, unlocked_mark); }

std::string StagingNames::replaced(size_t directory) const {
  return fmt::format("{}{}{}", prefix_, replaced_mark, directory);
}

std::optional<std::string_view> StagingNames::token_in(std::string_view name) {
  if (!name.starts_with(common_prefix)) return std::nullopt;
  name.remove_prefix(common_prefix.size());
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
