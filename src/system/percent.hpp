// Percent-encoding, as in URLs, and the hexadecimal digits it is made of.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// Two lower-case hexadecimal digits for each byte.
[[nodiscard]] std::string hex(const unsigned char* bytes, size_t size);

/// Letters, digits and -_.@,+: what stands for itself.
[[nodiscard]] bool is_unreserved(char c);

/// Everything but the above as %xx.
[[nodiscard]] std::string percent_escape(std::string_view text);

/// The reverse, for any text with such escapes in either case; nothing when one is malformed.
[[nodiscard]] std::optional<std::string> percent_unescape(std::string_view text);

}  // namespace memolock
