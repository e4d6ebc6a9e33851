// Messages of memolock's own on stderr, whose reader may have stalled.
#pragma once

#include <string_view>

namespace memolock {

/// Writes `text` to stderr and blocks as long as that takes, unless a signal of interruption has
/// been received or is pending: then the rest of the text is dropped. Never allocates; any thread.
void write_message(std::string_view text) noexcept;

/// Whether write_message has dropped one.
[[nodiscard]] bool is_message_dropped() noexcept;

}  // namespace memolock
