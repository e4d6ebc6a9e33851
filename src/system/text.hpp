// Text from anywhere, made fit for a reader: a terminal or a shell.
#pragma once

#include <string>
#include <string_view>

namespace memolock {

/// `text` with every byte escaped (\n, \x1b) that is not part of a visible UTF-8 character, so that
/// the result can neither move a terminal's cursor nor look like a different text.
[[nodiscard]] std::string escape_controls(std::string_view text);

/// `text` as a word to paste into a shell: quoted if the shell would change it otherwise. It is
/// meant to be a path, so one that begins with '-' gets "./" in front.
[[nodiscard]] std::string quote_for_shell(const std::string& text);

}  // namespace memolock
