#include "src/entry/token.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <utility>

#include <fmt/format.h>

#include "src/system/error.hpp"
#include "src/system/percent.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

constexpr std::string_view external = "-external";

/// Reads the number after the character `mark`, which must be at `at`.
bool take_number(std::string_view text, size_t at, char mark, int64_t& number) {
  if (text[at] != mark) return false;
  const char* const end = text.data() + text.size();
  return std::from_chars(text.data() + at + 1, end, number).ec == std::errc();
}

/// Nothing if `count` is out of range.
std::optional<Nanoseconds> from_milliseconds(int64_t count) {
  constexpr int64_t most = std::chrono::duration_cast<std::chrono::milliseconds>(forever).count();
  if (count < 0 || count > most) return std::nullopt;
  return std::chrono::milliseconds(count);
}

/// The lease, which follows the PID; nothing if the token has none.
std::optional<Nanoseconds> take_lease(std::string_view text) {
  const size_t at = text.rfind('-');
  int64_t milliseconds = 0;
  if (at == std::string_view::npos || !take_number(text, at, '-', milliseconds) ||
      milliseconds == 0)
    return std::nullopt;
  return from_milliseconds(milliseconds);
}

}  // namespace

Holder this_process() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  const bool known = gethostname(name.data(), name.size() - 1) == 0;
  return {known ? name.data() : "", getpid()};
}

std::string new_token(const TokenParts& parts) {
  const auto count = [](Nanoseconds time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  };
  const std::string lease = parts.lease ? fmt::format("-{}", count(*parts.lease)) : "";
  return fmt::format("{}-{}-{}{}{}@{}", random_name(), count(parts.begun), parts.holder.pid, lease,
                     parts.producer == Producer::external ? external : "",
                     percent_escape(parts.holder.host));
}

std::optional<TokenParts> parse_token(std::string_view token) {
  constexpr size_t secret = 32;
  TokenParts parts;
  int64_t milliseconds = 0;
  if (token.size() <= secret || !take_number(token, secret, '-', milliseconds)) return std::nullopt;
  const size_t pid = token.find('-', secret + 1);
  if (pid == std::string_view::npos || !take_number(token, pid, '-', parts.holder.pid))
    return std::nullopt;
  const size_t host = token.find('@', pid);
  if (host == std::string_view::npos) return std::nullopt;
  std::string_view rest = token.substr(pid + 1, host - pid - 1);
  if (rest.ends_with(external)) {
    parts.producer = Producer::external;
    rest.remove_suffix(external.size());
  }
  parts.lease = take_lease(rest);
  auto name = percent_unescape(token.substr(host + 1));
  if (!name) return std::nullopt;
  parts.holder.host = std::move(*name);
  const auto begun = from_milliseconds(milliseconds);
  if (!begun) return std::nullopt;
  parts.begun = *begun;
  return parts;
}

}  // namespace memolock
