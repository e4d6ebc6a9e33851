// Escapes text of any origin for a terminal or a shell.
#pragma once

#include <string>
#include <string_view>

namespace memolock {

/// `text` with every byte that is not part of a visible UTF-8 character escaped (\n, \x1b). The
/// result cannot move a terminal's cursor or look like a different text.
[[nodiscard]] std::string escape_controls(std::string_view text);

/// A path as a word to paste into a shell, quoted if the shell would change it otherwise. If it
/// begins with '-', "./" is put in front.
[[nodiscard]] std::string quote_for_shell(const std::string& text);

}  // namespace memolock
