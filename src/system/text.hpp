// Text for people: what may be shown of bytes from anywhere.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace memolock {

/// The longest beginning of a text in UTF-8 that has at most so many bytes and ends with a whole
/// character: people read it.
[[nodiscard]] std::string_view cut_to(std::string_view text, size_t longest);

/// A text with everything escaped (\n, \x1b) but UTF-8 that can be seen, so that it cannot move the
/// cursor of a terminal nor look like another text.
[[nodiscard]] std::string escape_controls(std::string_view text);

}  // namespace memolock
