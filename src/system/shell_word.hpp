// Words that are shown to be pasted into a shell.
#pragma once

#include <string>

namespace memolock {

/// A word of a command line, in quotes where a shell would not leave it as it is. One that begins
/// with '-' gets a "./" in front: it is a path.
[[nodiscard]] std::string shell_word(const std::string& text);

}  // namespace memolock
