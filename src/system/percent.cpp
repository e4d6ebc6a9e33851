#include "src/system/percent.hpp"

namespace memolock {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

/// The value of the hexadecimal digit at `at`; -1 if there is none.
int digit_at(std::string_view text, size_t at) {
  if (at >= text.size()) return -1;
  const char c = text[at];
  const size_t value = digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
  return value == std::string_view::npos ? -1 : static_cast<int>(value);
}

}  // namespace

std::string hex(const unsigned char* bytes, size_t size) {
  std::string text;
  text.reserve(2 * size);
  for (size_t i = 0; i < size; ++i) {
    text += digits[bytes[i] >> 4U];
    text += digits[bytes[i] & 15U];
  }
  return text;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_.@,+").find(c) != std::string_view::npos;
}

std::string percent_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      escaped += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      escaped += '%' + hex(&byte, 1);
    }
  }
  return escaped;
}

std::optional<std::string> percent_unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const int high = digit_at(text, i + 1);
    const int low = digit_at(text, i + 2);
    if (high < 0 || low < 0) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

}  // namespace memolock
