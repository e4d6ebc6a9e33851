// Durations, sizes and numbers as options and messages write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/system/clock.hpp"

namespace memolock {

/// Parses "500ms", "5s", "1h30m", "2d", "1w", "0.5" or "12" (seconds). Nothing for anything else,
/// including negative durations and those over 100 000 days.
[[nodiscard]] std::optional<Nanoseconds> parse_duration(std::string_view text);

/// Parses "4096", "10MB", "64MiB" or "1G": bytes, and powers of 1024 ("K", "KiB") or of 1000
/// ("KB"). Nothing for anything else.
[[nodiscard]] std::optional<uint64_t> parse_size(std::string_view text);

/// Parses a decimal number from `min` to `max`, both at least 0. Nothing for anything else.
[[nodiscard]] std::optional<int> parse_number(std::string_view text, int min, int max);

/// "412ms", "3.2s", "5m10s", "2h", "3d4h"; "forever".
[[nodiscard]] std::string format_duration(Nanoseconds length);

/// "100 B", "1.5 MiB".
[[nodiscard]] std::string format_size(uint64_t bytes);

}  // namespace memolock
