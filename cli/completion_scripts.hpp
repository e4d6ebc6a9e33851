// The shell completion scripts: the files of completions/, embedded at build time.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace memolock {

/// The name of each shell and the text of its script.
extern const std::array<std::pair<std::string_view, std::string_view>, 3> completion_scripts;

}  // namespace memolock
