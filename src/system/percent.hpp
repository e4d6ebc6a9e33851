// Percent-encoding, as in URLs and file names, and hexadecimal digits.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace memolock {

/// Two lower-case hexadecimal digits for each byte.
[[nodiscard]] std::string hex(const unsigned char* bytes, size_t size);

/// Whether percent_escape leaves `c` unchanged: letters, digits and -_.@,+.
[[nodiscard]] bool is_unreserved(char c);

/// `text` with every byte that is not unreserved written as %xx.
[[nodiscard]] std::string percent_escape(std::string_view text);

/// Decodes %xx in either case; nothing if an escape is malformed.
[[nodiscard]] std::optional<std::string> percent_unescape(std::string_view text);

}  // namespace memolock
