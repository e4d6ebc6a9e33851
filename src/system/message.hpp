// Writes memolock's own messages to stderr, whose reader may have stalled.
#pragma once

#include <string_view>

namespace memolock {

/// Writes `text` to stderr, and blocks until that is done or a signal of interruption has been
/// received or is pending; the rest of the text is then dropped. Never allocates. Any thread may
/// call it.
void write_message(std::string_view text) noexcept;

/// Whether write_message() has dropped a text or a part of one.
[[nodiscard]] bool is_message_dropped() noexcept;

}  // namespace memolock
