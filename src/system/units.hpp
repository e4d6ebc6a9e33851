// Durations, sizes and numbers in the notation of options and messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/system/clock.hpp"

namespace memolock {

/// "500ms", "5s", "1h30m", "2d", "1w", "0.5", "12" (seconds). Nothing for anything else, including
/// negative durations and those over 100 000 days.
[[nodiscard]] std::optional<Nanoseconds> parse_duration(std::string_view text);

/// "4096", "10MB", "64MiB", "1G" (powers of 1024 with or without "iB", of 1000 with "B"); bytes.
[[nodiscard]] std::optional<uint64_t> parse_size(std::string_view text);

/// A decimal number from `min` to `max`, both at least 0; nothing for anything else.
[[nodiscard]] std::optional<int> parse_number(std::string_view text, int min, int max);

/// "412ms", "3.2s", "5m10s", "2h", "3d4h"; "forever".
[[nodiscard]] std::string format_duration(Nanoseconds length);

/// "100 B", "1.5 MiB".
[[nodiscard]] std::string format_size(uint64_t bytes);

}  // namespace memolock
