// What is fed with bytes from anybody: by libFuzzer (./dev fuzz), and by replay.cpp with those that
// are kept in corpus/.
#pragma once

#include <filesystem>
#include <map>
#include <string_view>

namespace memolock::fuzz {

using Feed = void (*)(std::string_view bytes);

/// A harness under its name, for as long as the program runs.
struct Harness {
  Harness(std::string_view name, Feed feed);
};
[[nodiscard]] const std::map<std::string_view, Feed>& harnesses();

/// What must hold whatever the bytes are; aborts where it does not, with `what` on stderr.
void require(bool holds, std::string_view what);

/// A text that can be shown to a person: one line, and no byte of it moves a cursor.
void require_printable(std::string_view text);

/// A folder of this process's own, removed when it ends.
[[nodiscard]] const std::filesystem::path& scratch();

}  // namespace memolock::fuzz
